-- The balance of the contacts flow before it sends. Parameter: $fingerprint.
select
    count(*) as desired,
    count(*) filter (
        delivered.payload_hash = md5(contacts.payload_hash || $fingerprint)
        and not exists (
            from delivery.records as later
            where later.flow = 'contacts' and later.key = contacts.email and later.outcome = 'unknown'
                and later.batch_id > delivered.batch_id
        )
    ) as unchanged,
    0 as waiting,
    0 as frozen
from mart.contacts as contacts
left join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = contacts.email
