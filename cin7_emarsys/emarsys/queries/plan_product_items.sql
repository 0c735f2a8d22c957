-- Items whose state differs from what Emarsys accepted last, may have been changed there since by a call of which nobody
-- knows, or were accepted long ago. An item that became a dead letter waits until it changes or a person retries it.
-- Parameter: $stale_before (UTC).
select catalogue.*
from mart.catalogue as catalogue
left join delivery.delivered as delivered on delivered.flow = 'catalogue' and delivered.key = catalogue.item
where (
        delivered.payload_hash is distinct from catalogue.payload_hash
        or delivered.accepted_at < $stale_before
        or exists (
            from delivery.records as later
            where later.flow = 'catalogue' and later.key = catalogue.item and later.outcome = 'unknown'
                and later.batch_id > delivered.batch_id
        )
    )
    and not exists (
        from delivery.dead_letters as dead
        where dead.flow = 'catalogue' and dead.key = catalogue.item and dead.payload_hash = catalogue.payload_hash
            and coalesce(dead.closed_by, 'dropped') = 'dropped'
    )
order by catalogue.item
