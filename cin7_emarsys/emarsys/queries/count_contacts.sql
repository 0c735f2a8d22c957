-- The balance of the contacts flow before it sends. Parameter: $fingerprint.
with doubtful as (
    select key, max(batch_id) as batch_id
    from delivery.records
    where flow = 'contacts' and outcome = 'unknown'
    group by key
)
select
    count(*) as desired,
    count(*) filter (
        delivered.payload_hash = md5(contacts.payload_hash || $fingerprint)
        and coalesce(doubtful.batch_id, 0) < delivered.batch_id
    ) as unchanged,
    0 as waiting,
    0 as frozen
from mart.contacts as contacts
left join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = contacts.email
left join doubtful on doubtful.key = contacts.email
