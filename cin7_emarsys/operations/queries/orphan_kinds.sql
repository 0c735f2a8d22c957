-- Orphans by kind, those somebody must look at first.
select what, missing_at, cause, expected, count(*) as rows, min(since) as since, any_value(owner) as owner
from reconciliation.orphans
group by what, missing_at, cause, expected
order by expected, what, missing_at, rows desc
