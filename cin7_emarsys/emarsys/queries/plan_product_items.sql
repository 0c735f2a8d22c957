-- Items whose state differs from what Emarsys accepted last, may have been changed there since by a call of which nobody
-- knows, or were accepted long ago. An item that was refused waits until it changes.
-- Parameter: $stale_before (UTC).
with tried as (
    select
        key, arg_max(outcome, record_id) as outcome, arg_max(payload_hash, record_id) as payload_hash,
        coalesce(max(record_id) filter (outcome = 'unknown'), 0)
            > coalesce(max(record_id) filter (outcome = 'accepted'), 0) as doubtful
    from delivery.records
    where flow = 'catalogue'
    group by key
)
select catalogue.*
from mart.catalogue as catalogue
left join delivery.delivered as delivered on delivered.flow = 'catalogue' and delivered.key = catalogue.item
left join tried on tried.key = catalogue.item
where (
        delivered.payload_hash is distinct from catalogue.payload_hash
        or delivered.accepted_at < $stale_before
        or tried.doubtful
    )
    and not coalesce(tried.outcome = 'rejected' and tried.payload_hash = catalogue.payload_hash, false)
order by catalogue.item
