-- grain: one row per account and address that its default contact has had, kept for ever
-- key: customer_id, email
-- materialize: append
-- meaning: Addresses of customer accounts over time, so that a changed one can be told from two people.
-- @column customer_id: The account.
-- @column email: The address, normalised.
-- @column seen_at: When it was first seen, by Cin7's clock (UTC).
select customers.customer_id, customers.email, tenant.as_of as seen_at
from staging.customers as customers
cross join staging.tenant as tenant
where customers.email is not null and not customers.is_generic
