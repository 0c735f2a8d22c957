-- Whom an e-mail, a person id or Cin7's customer id names without any written alias. Parameter: $who.
with asked as (select lower(trim($who)) as who)
select persons.person_id, false as is_generic, persons.person_id = asked.who as exact
from mart.persons as persons, asked
where persons.person_id = asked.who
union all
select coalesce(customers.email, 'customer:' || customers.customer_id), customers.is_generic, false
from staging.customers as customers, asked
where customers.customer_id = replace(asked.who, 'customer:', '')
order by exact desc
limit 1
