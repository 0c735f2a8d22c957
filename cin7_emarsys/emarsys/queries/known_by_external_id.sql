-- Contacts that Emarsys has from us under their external id, perhaps with another address. Parameter: $field, the string id of
-- the field that carries it.
select contacts.email
from mart.contacts as contacts
join (
    select distinct payload->>$field as external_id from delivery.delivered where flow = 'contacts'
) as sent on sent.external_id = (contacts.attributes->>'external_id')
