-- One person by e-mail, by our person id, or by Cin7's customer id. Parameter: $who.
select value.*, persons.customer_id, persons.name, persons.consent
from mart.persons as persons
join mart.customer_value as value on value.person_id = persons.person_id
where persons.email = lower(trim($who)) or persons.person_id = lower(trim($who)) or persons.customer_id = lower(trim($who))
order by persons.email = lower(trim($who)) desc nulls last, persons.person_id
limit 1
