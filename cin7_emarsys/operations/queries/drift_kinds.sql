-- Differences by kind, those somebody must look at first.
select what, field, cause, expected, count(*) as rows, min(since) as since, any_value(owner) as owner
from reconciliation.drift
group by what, field, cause, expected
order by expected, what, rows desc, field
