-- grain: one row per sale and product that its order should hold units of
-- key: sale_id, product_id
-- meaning: The orders behind Cin7's Allocated, which names none itself. An authorised order holds its lines, any other what is
-- picked for it; both until it is shipped.
-- @column sale_id: The sale.
-- @column order_number: Number of the order.
-- @column product_id: The product.
-- @column location_key: Location that the order ships from, lower case; null where unknown.
-- @column ordered: Units ordered.
-- @column picked: Units picked, shipped ones included.
-- @column units: Units that should be allocated for it now.
with lines as (
    select sale_id, product_id, sum(quantity) as ordered, sum(backorder_quantity) as backordered
    from staging.order_lines
    where not is_drop_ship
    group by all
),
picks as (
    select sale_id, product_id, sum(quantity) as picked, coalesce(sum(quantity) filter (is_shipped), 0) as shipped
    from staging.pick_lines
    where is_taken
    group by all
),
moved as (
    select coalesce(lines.sale_id, picks.sale_id) as sale_id, coalesce(lines.product_id, picks.product_id) as product_id,
        coalesce(lines.ordered, 0) as ordered, coalesce(lines.backordered, 0) as backordered,
        coalesce(picks.picked, 0) as picked, coalesce(picks.shipped, 0) as shipped
    from lines
    full join picks on picks.sale_id = lines.sale_id and picks.product_id = lines.product_id
),
held as (
    select sales.sale_id, sales.order_number, moved.product_id, sales.location_key, moved.ordered, moved.picked,
        case when sales.order_status = 'AUTH_NO_ALLOC' then moved.picked
            when settings.backorders_are_allocated then moved.ordered
            else moved.ordered - moved.backordered end - moved.shipped as units
    from staging.sales as sales
    join moved on moved.sale_id = sales.sale_id
    cross join policy.settings as settings
    where sales.order_status in ('AUTHORISED', 'AUTH_NO_ALLOC') and not sales.is_void
        and coalesce(sales.status, '') <> 'COMPLETED' and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
)
select sale_id, order_number, product_id, location_key, cast(ordered as decimal(18, 4)) as ordered,
    cast(picked as decimal(18, 4)) as picked, cast(units as decimal(18, 4)) as units
from held
where units <> 0
