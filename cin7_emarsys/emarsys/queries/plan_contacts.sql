-- Contacts whose desired state differs from what Emarsys accepted last, with what it may hold: what it accepted, and over
-- that what was sent since with an unknown outcome.
-- Parameter: $fingerprint, a hash of the field map: another map changes every row.
with tried as (
    select
        records.key, arg_max(outcome, record_id) as outcome, arg_max(records.payload_hash, record_id) as payload_hash,
        list(records.payload order by record_id) filter (
            outcome = 'unknown' and record_id > coalesce(accepted, 0)
        ) as doubtful
    from delivery.records as records
    left join (
        select key, max(record_id) as accepted from delivery.records
        where flow = 'contacts' and outcome = 'accepted'
        group by key
    ) as last_accepted on last_accepted.key = records.key
    where flow = 'contacts'
    group by records.key
)
select
    contacts.email as key, contacts.attributes, contacts.derived, contacts.consent,
    md5(contacts.payload_hash || $fingerprint) as payload_hash,
    case
        when tried.doubtful is null then delivered.payload
        else list_reduce(
            list_prepend(coalesce(delivered.payload, cast('{}' as json)), tried.doubtful),
            lambda held, sent: json_merge_patch(held, sent)
        )
    end as before
from mart.contacts as contacts
left join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = contacts.email
left join tried on tried.key = contacts.email
where delivered.payload_hash is distinct from md5(contacts.payload_hash || $fingerprint)
    and not coalesce(tried.outcome = 'rejected' and tried.payload_hash = md5(contacts.payload_hash || $fingerprint), false)
order by contacts.email
