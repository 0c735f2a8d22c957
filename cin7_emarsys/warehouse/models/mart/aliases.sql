-- grain: one row per key, rule and person
-- key: key, rule, person_id
-- meaning: Which key led to which person and why: the e-mails and customer accounts of documents and contacts, and what
-- was written by hand.
-- @column person_id: The person.
-- @column key: The e-mail or customer:<id> that leads to it.
-- @column rule: sale_email (it stands on sales), default_contact (the account's default contact has the person's e-mail),
-- customer_account (an account without any e-mail), contact (it is a contact of an account), moved_contact (Emarsys' contact
-- of the account had this address before) or written_alias.
-- @column reason: Of a written alias, why.
-- @column sales: Sales it decided.
-- @column first_on: Date of the first of them.
-- @column last_on: Date of the last.
with used as (
    select persons.found_id, persons.rule, sales.ordered_on,
        case persons.rule when 'default_contact' then 'customer:' || persons.customer_id else persons.found_id end as key
    from mart.sale_persons as persons
    left join staging.sales as sales on sales.sale_id = persons.sale_id
    where persons.found_id is not null
),
moved as (
    select email, moved_to from staging.sent_contacts
    where moved_to is not null and email not in (select alias from staging.written_aliases)
),
contacts as (
    select contacts.email
    from staging.contacts as contacts
    join staging.customers as customers on customers.customer_id = contacts.customer_id
    where contacts.is_valid and not customers.is_generic
),
led as (
    select key, rule, found_id as person_id, null as reason, count(*) as sales, min(ordered_on) as first_on,
        max(ordered_on) as last_on
    from used
    group by all
    union all
    select distinct email, 'contact', email, null, 0, null, null
    from contacts
    where email not in (select key from used where rule = 'sale_email')
)
select coalesce(aliases.person_id, moved.moved_to, led.person_id) as person_id, led.key, led.rule, led.reason, led.sales, led.first_on,
    led.last_on
from led
left join moved on moved.email = led.person_id
left join staging.written_aliases as aliases on aliases.alias = coalesce(moved.moved_to, led.person_id)
union all
select coalesce(aliases.person_id, moved.moved_to), moved.email, 'moved_contact', null,
    (select count(*) from used where used.found_id = moved.email), null, null
from moved
left join staging.written_aliases as aliases on aliases.alias = moved.moved_to
union all
select aliases.person_id, aliases.alias, 'written_alias', aliases.reason,
    (select count(*) from used where used.found_id = aliases.alias), null, null
from staging.written_aliases as aliases
