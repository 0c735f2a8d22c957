-- title: SKUs promised beyond what is there: {rows}
-- assets: mart.ats
-- severity: warn
-- key: sku
-- owner: operations
-- means: Customers have bought what is not there.
-- of: mart.ats where valid_to is null
-- critical: share 0.05
-- next_step: Count these SKUs in the warehouse, receive what has arrived, or tell the customers; nothing of them is promised meanwhile.
with short as (
    select product_id, sku, on_hand,
        shortfall + requested_allocated - charged_allocated + requested_open_unallocated - charged_open_unallocated
            as missing
    from mart.ats
    where valid_to is null and missing > 0
),
rows as (
    select product_id, string_agg(
        concat_ws(' / ', location_key, bin_key, batch) || format(': {:g} on hand, {:g} allocated', on_hand::double, allocated::double), '; '
        order by location_key, bin_key nulls first, batch
    ) as rows
    from staging.snapshot
    where (on_hand <> 0 or allocated <> 0) and product_id in (select product_id from short)
    group by product_id
),
promises as (
    select product_id, order_number, units from mart.ats_orders
    union all
    select lines.product_id, sales.order_number, sum(lines.quantity)
    from staging.sales as sales
    join staging.order_lines as lines on lines.sale_id = sales.sale_id and not lines.is_drop_ship
    where sales.order_status = 'AUTHORISED' and not sales.is_void
        and coalesce(sales.status, '') <> 'COMPLETED' and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
        and lines.product_id in (select product_id from short)
    group by all
    union all
    select demand.component_id, 'kit ' || kits.sku, demand.order_units
    from mart.kit_demand as demand
    join staging.products as kits on kits.product_id = demand.kit_id
),
orders as (
    select product_id, string_agg(format('{} ({:g})', order_number, units::double), ', ' order by order_number) as orders
    from promises
    group by product_id
)
select short.sku, short.missing, short.on_hand, rows.rows, orders.orders
from short
left join rows on rows.product_id = short.product_id
left join orders on orders.product_id = short.product_id
order by short.missing desc, short.sku
