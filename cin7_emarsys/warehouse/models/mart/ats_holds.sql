-- grain: one row per hold of the policy that is in force and product that it sets units aside of
-- key: product_id, hold
-- meaning: The holds behind the term reserved. A hold shrinks by what those it is for have ordered since it began, so
-- that their orders do not count twice; percent holds of a product are added up first, see stock_rules.
-- @column product_id: The product.
-- @column hold: Place of the hold in the policy, from 0.
-- @column name: Its name.
-- @column units: Units it sets aside; null for a percent hold.
-- @column percent: Percent of what remains that it sets aside; null for a hold in units.
-- @column ordered: Units ordered since by those it is for, in draft too where drafts reserve.
-- @column units_left: What is left of a hold in units; null for a percent hold.
with holders as (
    select holds.hold, lines.product_id, sum(lines.quantity) as units
    from policy.holds as holds
    cross join policy.settings as settings
    join staging.sales as sales on sales.ordered_on >= holds.from_date and not sales.is_void
        and (sales.is_ordered or (settings.draft_orders_reserve and sales.order_status = 'DRAFT'))
    left join staging.customers as customers on customers.customer_id = sales.customer_id
    join staging.order_lines as lines on lines.sale_id = sales.sale_id and not lines.is_drop_ship
    where (holds.for_price_tier is not null and lower(trim(sales.price_tier)) = lower(trim(holds.for_price_tier)))
        or (holds.for_source_channel is not null
            and lower(trim(sales.source_channel)) = lower(trim(holds.for_source_channel)))
        or (holds.for_tag is not null and list_contains(customers.tags, lower(trim(holds.for_tag))))
    group by all
),
moment as (
    select cast((taken_at at time zone 'UTC') at time zone tenant.time_zone as date) as today
    from raw.snapshots, staging.tenant as tenant
    where trusted
    order by taken_at desc, snapshot_id desc
    limit 1
)
select
    products.product_id,
    holds.hold,
    holds.name,
    holds.units,
    holds.percent,
    cast(coalesce(holders.units, 0) as decimal(18, 4)) as ordered,
    cast(greatest(holds.units - coalesce(holders.units, 0), 0) as decimal(18, 4)) as units_left
from policy.holds as holds
join moment on moment.today between holds.from_date and coalesce(holds.until_date, moment.today)
join staging.products as products
    on lower(trim(holds.sku)) = lower(products.sku) or lower(trim(holds.category)) = products.category_key
left join holders on holders.hold = holds.hold and holders.product_id = products.product_id
where products.is_stock
