-- Contacts whose desired state differs from what Emarsys accepted last, with what it accepted.
-- Parameter: $fingerprint, a hash of the field map: another map changes every row.
select
    contacts.email as key, contacts.attributes, contacts.derived, contacts.consent,
    md5(contacts.payload_hash || $fingerprint) as payload_hash, delivered.payload as before
from mart.contacts as contacts
left join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = contacts.email
left join (
    select key, arg_max(outcome, record_id) as outcome, arg_max(payload_hash, record_id) as payload_hash
    from delivery.records
    where flow = 'contacts'
    group by key
) as latest on latest.key = contacts.email
where delivered.payload_hash is distinct from md5(contacts.payload_hash || $fingerprint)
    and not coalesce(latest.outcome = 'rejected' and latest.payload_hash = md5(contacts.payload_hash || $fingerprint), false)
order by contacts.email
