-- Contacts that differ from what Emarsys accepted. Parameter: $fingerprint of the field map.
select count(*) as units
from mart.contacts as contacts
left join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = contacts.email
where delivered.payload_hash is distinct from md5(contacts.payload_hash || $fingerprint)
