-- title: Contacts at Emarsys that lost all they had to another address: {rows}
-- assets: reconciliation.orphans
-- severity: warn
-- key: contact
-- owner: marketing
-- means: Emarsys has a contact of which nothing is true any more, and may still mail it.
-- next_step: Join each in Emarsys with the contact of the new address, or delete it; its order attributes are zero, and lines and events sent to it stay.
select md5(contacts.email) as contact, persons.customer_id, persons.joined_into is not null as joined_by_alias
from mart.contacts as contacts
join mart.persons as persons on persons.person_id = contacts.person_id
where contacts.left_behind
    and not exists ( -- deleted or joined there, as this asks for
        from reconciliation.contacts_read as read
        where read.email = contacts.email and read.ours and not read.found and read.code = '2008'
    )
order by persons.customer_id, contact
