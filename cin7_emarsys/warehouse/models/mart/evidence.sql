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
-- @column open_orders: Orders behind the terms allocated and open_unallocated, each with the units it takes.
-- @column kit_orders: Kits whose orders and holds it must be left for, beyond the kits' own stock.
-- @column rules: Holds and the safety buffer that are behind its terms.
-- @column components: Of a kit: what its own bill needs, how much of that is free where, and what limits it.
-- @column bill_faults: Of a kit that cannot be built: what is wrong with its bill, and the way down to it.
with named as (
    select location_key, min(location) as location from staging.locations group by location_key
),
counted as (
    select rows.product_id,
        list({
            'location': coalesce(named.location, rows.location_key), 'bin': coalesce(bins.bin, rows.bin_key),
            'batch': rows.batch, 'expires_on': rows.expires_on, 'on_hand': rows.on_hand,
            'allocated': rows.allocated, 'bar': rows.bar
        } order by rows.bar is not null, rows.location_key, rows.bin_key nulls first, rows.batch, rows.expires_on)
            as stock_rows
    from staging.snapshot as rows
    left join named on named.location_key = rows.location_key
    left join staging.bins as bins on bins.location_key = rows.location_key and bins.bin_key = rows.bin_key
    group by rows.product_id
),
taking as (
    select product_id, sale_id, 'open_unallocated' as term, ordered, taken as picked, units from mart.ats_orders
    union all
    select product_id, sale_id, 'allocated', ordered, picked, units
    from staging.allocated_orders
    where location_key is null
        or location_key in (select lower(trim(location)) from policy.sellable_locations)
),
open as (
    select taking.product_id,
        list({
            'order_number': sales.order_number, 'order_status': sales.order_status, 'status': sales.status,
            'ordered_on': sales.ordered_on, 'ordered': taking.ordered, 'picked': taking.picked, 'units': taking.units,
            'term': taking.term
        } order by sales.ordered_on desc, sales.order_number desc, taking.term) as open_orders
    from taking
    join staging.sales as sales on sales.sale_id = taking.sale_id
    group by taking.product_id
),
asked as (
    select demand.component_id as product_id,
        list({
            'kit': kits.sku, 'location': coalesce(named.location, nullif(demand.pool, '')), 'order_units': demand.order_units,
            'hold_units': demand.hold_units
        } order by kits.sku, demand.pool) as kit_orders
    from mart.kit_demand as demand
    join staging.products as kits on kits.product_id = demand.kit_id
    left join named on named.location_key = demand.pool
    group by demand.component_id
),
ruled as (
    select product_id,
        list({
            'rule': rule, 'name': name, 'units': units, 'percent': percent, 'ordered': ordered
        } order by rule desc, place) as rules
    from (
        select product_id, 'hold' as rule, hold as place, name, units, percent, ordered from mart.ats_holds
        union all
        select product_id, 'buffer', 0, buffer_for, nullif(buffer_units, 0), nullif(buffer_percent, 0), null
        from mart.stock_rules
        where buffer_units > 0 or buffer_percent > 0
    )
    group by product_id
),
faults as (
    select kit_id as product_id, list({'fault': fault, 'path': path} order by fault, path) as bill_faults
    from mart.kit_faults
    group by kit_id
),
parts as (
    select kits.kit_id as product_id,
        list({
            'sku': components.sku, 'location': coalesce(named.location, kits.location_key), 'need': kits.need, 'free': kits.free,
            'allows': kits.allows, 'limits': kits.limits
        } order by kits.location_key, components.sku) as components
    from mart.kit_components as kits
    join staging.products as components on components.product_id = kits.component_id
    left join named on named.location_key = kits.location_key
    where kits.is_direct
    group by kits.kit_id
)
select products.product_id, tenant.as_of, products.sku, products.title, products.type, products.is_active,
    products.is_sellable, states.state, states.available, states.c_stock, states.reason, counted.stock_rows,
    open.open_orders, asked.kit_orders, ruled.rules, parts.components, faults.bill_faults
from staging.products as products
cross join staging.tenant as tenant
left join mart.availability as states on states.product_id = products.product_id and states.sku = products.sku
left join counted on counted.product_id = products.product_id
left join open on open.product_id = products.product_id
left join asked on asked.product_id = products.product_id
left join ruled on ruled.product_id = products.product_id
left join parts on parts.product_id = products.product_id
left join faults on faults.product_id = products.product_id
