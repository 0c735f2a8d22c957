-- title: {rows} SKUs whose Allocated is not what open orders hold
-- assets: mart.ats
-- severity: warn
-- key: sku
-- owner: operations
-- means: Cin7 holds more or fewer units of these SKUs than its open orders need, so too little or too much may be promised.
-- of: mart.ats where valid_to is null
-- next_step: Look for these SKUs in Cin7 under allocations: a work order or a transfer can hold units too. Allocated is what counts.
with open_sales as (
    select sale_id, order_number, order_status, has_detail
    from staging.sales
    where order_status in ('AUTHORISED', 'AUTH_NO_ALLOC') and not is_void
        and coalesce(status, '') <> 'COMPLETED' and coalesce(fulfilment_status, '') <> 'FULFILLED'
),
held as (
    -- an authorised order holds its lines, another one what is picked; both until it is shipped
    select lines.product_id, open_sales.order_number,
        case when settings.backorders_are_allocated then lines.quantity
            else lines.quantity - lines.backorder_quantity end as units
    from open_sales
    join staging.order_lines as lines on lines.sale_id = open_sales.sale_id and not lines.is_drop_ship
    cross join policy.settings as settings
    where open_sales.order_status = 'AUTHORISED'
    union all
    select picks.product_id, open_sales.order_number,
        case when picks.is_shipped then 0 else picks.quantity end
            - case when open_sales.order_status = 'AUTHORISED' then picks.quantity else 0 end
    from open_sales
    join staging.pick_lines as picks on picks.sale_id = open_sales.sale_id and picks.is_taken
),
ordered as (
    select product_id, sum(units) as units, string_agg(distinct order_number, ', ' order by order_number) as orders
    from held
    group by product_id
),
allocated as (select product_id, sum(allocated) as units from staging.snapshot group by product_id)
select products.sku, coalesce(allocated.units, 0) as allocated, coalesce(ordered.units, 0) as in_open_orders,
    ordered.orders
from staging.products as products
left join ordered on ordered.product_id = products.product_id
left join allocated on allocated.product_id = products.product_id
where products.is_stock and products.is_active and exists (from staging.snapshot)
    and not exists (from open_sales where not has_detail)
    and coalesce(allocated.units, 0) <> coalesce(ordered.units, 0)
order by abs(coalesce(allocated.units, 0) - coalesce(ordered.units, 0)) desc, products.sku
