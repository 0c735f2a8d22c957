-- One person by e-mail (a former one too), by our person id, by Cin7's customer id (with the number of
-- a contact, as lists name it), or by a written alias. Parameter: $who.
with asked as (select lower(trim($who)) as who),
found as (
    select coalesce(persons.joined_into, persons.person_id) as person_id,
        persons.email = asked.who or persons.person_id = asked.who as exact
    from mart.persons as persons, asked
    where persons.email = asked.who or persons.person_id = asked.who
        or persons.customer_id = split_part(asked.who, ':', 1)
    union all
    select aliases.person_id, true
    from staging.written_aliases as aliases, asked
    where aliases.alias in (asked.who, 'customer:' || asked.who)
    union all
    select coalesce(persons.joined_into, persons.person_id), true
    from asked
    join staging.sent_contacts as sent on sent.email = asked.who
    join mart.persons as persons on persons.person_id = sent.moved_to
)
select value.*, persons.customer_id, coalesce(persons.name, accounts.name) as name, persons.consent
from found
join mart.persons as persons on persons.person_id = found.person_id
join mart.customer_value as value on value.person_id = found.person_id
left join staging.customers as accounts on accounts.customer_id = persons.customer_id
order by found.exact desc nulls last, found.person_id
limit 1
