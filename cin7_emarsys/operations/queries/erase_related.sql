-- Other addresses under which documents stand for these accounts, or that their contacts have had. Nobody has written that
-- they are the same person. Parameters: $accounts, $names.
select distinct lower(trim(email)) as email
from (
    select Email as email, CustomerID as customer_id from raw.sales
    union all
    select email, customer_id from mart.account_addresses
)
where list_contains($accounts, lower(customer_id)) and email is not null and not list_contains($names, lower(trim(email)))
order by email
limit 20
