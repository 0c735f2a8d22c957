-- Every key that leads to one person, and why. Parameter: $person_id.
select key, rule, reason, sales, first_on, last_on
from mart.aliases
where person_id = $person_id
order by rule = 'written_alias', key, rule
