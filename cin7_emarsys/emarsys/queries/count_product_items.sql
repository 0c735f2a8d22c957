-- The balance of the catalogue before its items are sent. Parameter: $stale_before (UTC).
select
    count(*) as desired,
    count(*) filter (
        delivered.payload_hash = catalogue.payload_hash and delivered.accepted_at >= $stale_before
        and not exists (
            from delivery.records as records
            where records.flow = 'catalogue' and records.key = catalogue.item and records.outcome = 'unknown'
                and records.batch_id > delivered.batch_id
        )
    ) as unchanged,
    0 as waiting,
    0 as frozen
from mart.catalogue as catalogue
left join delivery.delivered as delivered on delivered.flow = 'catalogue' and delivered.key = catalogue.item
