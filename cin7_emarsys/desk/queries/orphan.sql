-- Customers that are on one side only, by what the list of orphans calls them, customer id or address. Parameter: $key.
-- @column key: Customer id or hash.
-- @column customer_id: Customer account; null where only a hash is known.
-- @column name: Its name.
-- @column email: The address, if any.
-- @column missing_at: Emarsys or Cin7.
-- @column cause: Why.
-- @column since: Since when, as far as it is known (UTC).
-- @column owner: Who answers for it.
-- @column next_step: What to do.
select orphans.key, customers.customer_id, customers.name, orphans.email,
    if(orphans.missing_at = 'emarsys', 'Emarsys', 'Cin7') as missing_at, orphans.cause, orphans.since, orphans.owner, orphans.next_step
from reconciliation.orphans as orphans
left join staging.customers as customers on customers.customer_id = split_part(orphans.key, ':', 1)
where orphans.what = 'customer' and lower(trim($key)) in (orphans.key, split_part(orphans.key, ':', 1), orphans.email)
order by orphans.key, orphans.missing_at
