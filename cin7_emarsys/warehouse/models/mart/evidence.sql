-- grain: one row per product and span in which nothing of it changed
-- key: product_id
-- materialize: history at as_of
-- meaning: What was known of each product whenever its availability was worked out: its state and why, and the stock rows
-- and open orders behind its waterfall. Kept, so that a question about the past is answered with what was known then.
-- @column product_id: The product.
-- @column as_of: The latest moment, by Cin7's clock, at which something had been read (UTC).
-- @column sku: Its SKU.
-- @column title: Its name.
-- @column type: Type in Cin7; only Stock has availability.
-- @column is_active: Not deprecated.
-- @column is_sellable: Marked as sold.
-- @column state: State as published; null while none is known.
-- @column available: Can be sold, as published.
-- @column c_stock: Units as published.
-- @column reason: Why the state is not what the figures alone say; null where it is.
-- @column stock_rows: Rows of the newest trusted snapshot, and what keeps each from being sold.
-- @column open_orders: Orders that still take units.
-- @column components: Of a kit: what its own bill needs, how much of that is free where, and what limits it.
with counted as (
    select product_id,
        list({
            'location': location_key, 'bin': bin_key, 'batch': batch, 'expires_on': expires_on, 'on_hand': on_hand,
            'allocated': allocated, 'bar': bar
        } order by bar is not null, location_key, bin_key nulls first, batch, expires_on) as stock_rows
    from staging.snapshot
    group by product_id
),
taken as (
    select sale_id, product_id, sum(quantity) as units from staging.pick_lines where is_taken group by all
),
ordered as (
    select lines.product_id, sales.sale_id, sales.order_number, sales.order_status, sales.status, sales.ordered_on,
        cast(sum(lines.quantity) as decimal(18, 4)) as ordered
    from staging.order_lines as lines
    join staging.sales as sales on sales.sale_id = lines.sale_id
    where not lines.is_drop_ship and not sales.is_void and sales.is_ordered
        and coalesce(sales.status, '') <> 'COMPLETED' and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
    group by all
),
open as (
    select ordered.product_id,
        list({
            'order_number': ordered.order_number, 'order_status': ordered.order_status, 'status': ordered.status,
            'ordered_on': ordered.ordered_on, 'ordered': ordered.ordered,
            'picked': cast(coalesce(taken.units, 0) as decimal(18, 4)),
            'term': case when ordered.order_status = 'AUTH_NO_ALLOC' then 'open_unallocated' else 'allocated' end
        } order by ordered.ordered_on desc, ordered.order_number desc) as open_orders
    from ordered
    left join taken on taken.sale_id = ordered.sale_id and taken.product_id = ordered.product_id
    group by ordered.product_id
),
parts as (
    select kits.kit_id as product_id,
        list({
            'sku': components.sku, 'location': kits.location_key, 'need': kits.need, 'free': kits.free,
            'allows': kits.allows, 'limits': kits.limits
        } order by kits.location_key, components.sku) as components
    from mart.kit_components as kits
    join staging.products as components on components.product_id = kits.component_id
    where kits.is_direct
    group by kits.kit_id
)
select products.product_id, tenant.as_of, products.sku, products.title, products.type, products.is_active,
    products.is_sellable, states.state, states.available, states.c_stock, states.reason, counted.stock_rows,
    open.open_orders, parts.components
from staging.products as products
cross join staging.tenant as tenant
left join mart.availability as states on states.product_id = products.product_id and states.sku = products.sku
left join counted on counted.product_id = products.product_id
left join open on open.product_id = products.product_id
left join parts on parts.product_id = products.product_id
