-- title: Customers with another address now, and orders under the old one: {rows}
-- assets: mart.account_addresses
-- severity: warn
-- key: customer_id
-- owner: marketing
-- means: A loyal customer may be greeted as new, because her orders stand under an old address.
-- next_step: If it is the same person, say so: `customer alias add OLD NEW --reason "..."`; `customer ID` shows both. Until then the old address keeps its orders and its contact.
select former.customer_id, value.order_count, value.ltv, value.open_orders
from mart.account_addresses as former
join staging.customers as accounts on accounts.customer_id = former.customer_id and accounts.email <> former.email
join mart.persons as persons on persons.email = former.email and persons.joined_into is null
join mart.customer_value as value on value.person_id = persons.person_id
where value.order_count + value.open_orders + value.refund_count > 0
    and not exists (from staging.contacts as contacts where contacts.email = former.email)
order by former.customer_id
