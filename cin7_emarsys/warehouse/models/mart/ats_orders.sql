-- grain: one row per sale and product that is ordered, but neither allocated nor picked nor shipped
-- key: sale_id, product_id
-- meaning: The orders behind the term open_unallocated. Orders for kits that components must be left for stand in
-- kit_demand; both together are what the term requests.
-- @column sale_id: The sale.
-- @column order_number: Number of the order.
-- @column ordered_on: Date of the order.
-- @column product_id: The product.
-- @column sku: SKU on the line.
-- @column location_key: Sellable location that it ships from; the first of the policy where the sale names none.
-- @column reason: unallocated (AUTH_NO_ALLOC), draft or backorder, as the policy lets them count.
-- @column ordered: Units ordered; of a backorder, units waiting for stock.
-- @column taken: Of these, units picked or shipped.
-- @column units: What is left, which the term requests.
with sellable as (
    select lower(trim(location)) as location_key, first(lower(trim(location))) over (order by position) as first_key
    from policy.sellable_locations
),
open_sales as (
    select
        sales.sale_id, sales.order_number, sales.ordered_on,
        coalesce(sales.location_key, (select any_value(first_key) from sellable)) as location_key,
        case sales.order_status when 'AUTH_NO_ALLOC' then 'unallocated' when 'DRAFT' then 'draft' else 'backorder' end
            as reason
    from staging.sales as sales, policy.settings as settings
    where not sales.is_void
        and coalesce(sales.status, '') <> 'COMPLETED'
        and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
        and (
            sales.order_status = 'AUTH_NO_ALLOC'
            or (sales.order_status = 'DRAFT' and settings.draft_orders_reserve)
            or (sales.order_status = 'AUTHORISED' and not settings.backorders_are_allocated)
        )
        and (sales.location_key is null or sales.location_key in (select location_key from sellable))
),
ordered as (
    select open_sales.sale_id, any_value(open_sales.order_number) as order_number,
        any_value(open_sales.ordered_on) as ordered_on, any_value(open_sales.location_key) as location_key,
        any_value(open_sales.reason) as reason, lines.product_id, any_value(lines.sku) as sku,
        cast(sum(case when open_sales.reason = 'backorder' then lines.backorder_quantity else lines.quantity end)
            as decimal(18, 4)) as ordered
    from open_sales
    join staging.order_lines as lines on lines.sale_id = open_sales.sale_id and not lines.is_drop_ship
    join staging.products as products on products.product_id = lines.product_id and products.is_stock
    group by open_sales.sale_id, lines.product_id
),
taken as (
    select sale_id, product_id, cast(sum(quantity) as decimal(18, 4)) as units
    from staging.pick_lines
    where is_taken and sale_id in (select sale_id from open_sales where reason <> 'backorder')
    group by sale_id, product_id
)
select
    ordered.sale_id,
    ordered.order_number,
    ordered.ordered_on,
    ordered.product_id,
    ordered.sku,
    ordered.location_key,
    ordered.reason,
    ordered.ordered,
    coalesce(taken.units, 0) as taken,
    ordered.ordered - coalesce(taken.units, 0) as units
from ordered
left join taken on taken.sale_id = ordered.sale_id and taken.product_id = ordered.product_id
where ordered.ordered > coalesce(taken.units, 0)
