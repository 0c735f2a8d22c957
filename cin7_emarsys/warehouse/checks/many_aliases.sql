-- title: People to whom more than five keys lead: {rows}
-- assets: mart.aliases
-- severity: warn
-- key: customer_id
-- owner: marketing
-- means: Many customers are taken for one, so her value is too high and all get one mail.
-- next_step: `customer` lists them. An address of the shop itself, or of an agent, is put on many accounts: correct it in Cin7, or name the account in `customers.generic_customers`.
select any_value(persons.customer_id) as customer_id, count(distinct aliases.key) as keys, sum(aliases.sales) as sales
from mart.aliases as aliases
left join mart.persons as persons on persons.person_id = aliases.person_id
group by aliases.person_id
having keys > 5
order by keys desc, customer_id
