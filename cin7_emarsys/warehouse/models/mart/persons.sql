-- grain: one row per person
-- key: person_id
-- meaning: Everybody who bought something or is a contact of a customer account; an e-mail is one person. Further those whom
-- Emarsys knows from us and who have nothing of their own any more.
-- @column person_id: The e-mail, or customer:<id> for an account without any.
-- @column email: The e-mail, if there is one.
-- @column customer_id: The account: the one whose default contact has the e-mail, else that of the latest sale.
-- @column name: Name of the contact.
-- @column is_wholesale: One of the person's accounts buys wholesale.
-- @column is_contact: Is a contact of an active account, or has a sale.
-- @column joined_into: The person this one was joined into by a written alias.
-- @column left_behind: At Emarsys from us, and without anything of its own now (joined, or its address was changed on
-- everything): it keeps its place there, with its order attributes at zero.
-- @column consent: opt_out where any contact with the e-mail says so, else opt_in, else unknown.
with named as (
    select persons.person_id, persons.email, persons.customer_id, persons.contact_name as name, 2 as preference,
        sales.ordered_on as at, true as is_contact
    from mart.sale_persons as persons
    left join staging.sales as sales on sales.sale_id = persons.sale_id
    where persons.person_id is not null
    union all
    select contacts.email, contacts.email, contacts.customer_id, contacts.name,
        case when contacts.is_default then 3 else 1 end, null, customers.is_active
    from staging.contacts as contacts
    join staging.customers as customers on customers.customer_id = contacts.customer_id
    where contacts.is_valid and not customers.is_generic
    union all
    select email, email, null, null, 0, null, false from staging.sent_contacts where moved_to is null
),
consents as (
    select email,
        case
            when bool_or(consent = 'opt_out') then 'opt_out'
            when bool_or(consent = 'opt_in') then 'opt_in'
            else 'unknown'
        end as consent
    from staging.contacts
    group by email
),
merged as (
    select
        named.person_id,
        any_value(named.email) as email,
        arg_max(named.customer_id, {'preference': named.preference, 'at': coalesce(named.at, date '0001-01-01'), 'id': named.customer_id})
            filter (not coalesce(customers.is_generic, false)) as customer_id,
        arg_max(
            named.name, {'preference': named.preference, 'at': coalesce(named.at, date '0001-01-01'), 'name': named.name}
        ) filter (named.name is not null) as name,
        coalesce(bool_or(customers.is_wholesale), false) as is_wholesale,
        bool_or(named.is_contact) as is_contact,
        max(named.preference) as preference
    from named
    left join staging.customers as customers on customers.customer_id = named.customer_id
    group by named.person_id
)
select
    merged.* exclude (preference),
    aliases.person_id as joined_into,
    sent.email is not null and (aliases.alias is not null or merged.preference = 0) as left_behind,
    coalesce(consents.consent, 'unknown') as consent
from merged
left join consents on consents.email = merged.email
left join staging.written_aliases as aliases on aliases.alias = merged.person_id
left join staging.sent_contacts as sent on sent.email = merged.email and sent.moved_to is null
