-- SKUs and customers that are on one side and not on the other; those that somebody must look at first.
-- Parameters: $filter (all, skus_there, skus_here, customers_there, customers_here), $search (part of the key or the cause, or
-- null), $limit, $offset. People are shown by customer id or hash, never by address; the name is for who may look them up.
-- @column total: Rows that answer filter and search.
-- @column what: sku or customer.
-- @column missing_at: Emarsys or Cin7.
-- @column key: SKU, customer id or hash.
-- @column cause: Why.
-- @column expected: So by a rule, or passing by itself: nobody has to do anything.
-- @column since: Since when, as far as it is known (UTC).
-- @column owner: Who answers for it.
-- @column next_step: What to do.
-- @column name: Of a customer the name at Cin7.
with chosen as (
    select what, missing_at, key, cause, expected, since, owner, next_step
    from reconciliation.orphans
    where case $filter
            when 'skus_there' then what = 'sku' and missing_at = 'emarsys'
            when 'skus_here' then what = 'sku' and missing_at = 'cin7'
            when 'customers_there' then what = 'customer' and missing_at = 'emarsys'
            when 'customers_here' then what = 'customer' and missing_at = 'cin7'
            else not expected
        end
        and ($search is null or contains(lower(key), lower($search)) or contains(cause, lower($search)))
)
select (select count(*) from chosen) as total,
    chosen.* replace (if(missing_at = 'emarsys', 'Emarsys', 'Cin7') as missing_at), customers.name
from chosen
left join staging.customers as customers
    -- in one comparison: with a second condition DuckDB would compare every pair
    on customers.customer_id = case chosen.what when 'customer' then split_part(chosen.key, ':', 1) end
order by expected, what, cause, key
limit $limit offset $offset
