-- title: Kinds of records that wait for a person, refused by Emarsys or tried too often: {rows}
-- assets: delivery.dead_letters
-- severity: warn
-- key: flow, code
-- owner: operations
-- means: Emarsys lacks these records, and will until somebody corrects them.
-- critical: hours 72
-- next_step: Correct the record where it comes from (Cin7) or the field map; it goes again by itself once it has changed. `dead-letters list` shows them.
select
    flow, code, any_value(reason) as reason, count(*) as records, min(opened_at) as since,
    date_diff('hour', min(opened_at), any_value(tenant.as_of)) as hours
from delivery.dead_letters, staging.tenant as tenant
where closed_at is null
group by flow, code
order by since
