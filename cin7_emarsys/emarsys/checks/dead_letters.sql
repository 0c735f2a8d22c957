-- title: {rows} kinds of refusal by Emarsys wait for a person
-- assets: delivery.records
-- severity: warn
-- next_step: Correct the record where it comes from (Cin7) or the field map; it goes again by itself once it has changed.
select flow, code, any_value(reason) as reason, count(*) as records, min("at") as since
from (select *, row_number() over (partition by flow, key
order by record_id desc) as newest
from delivery.records)
where newest = 1 and outcome = 'rejected'
group by all
