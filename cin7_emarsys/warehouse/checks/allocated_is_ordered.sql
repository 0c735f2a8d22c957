-- title: SKUs whose Allocated is not what open orders hold: {rows}
-- assets: mart.ats
-- severity: warn
-- key: sku
-- owner: operations
-- means: Cin7 holds more or fewer units of these SKUs than its open orders need, so too little or too much may be promised.
-- of: mart.ats where valid_to is null
-- next_step: Look for these SKUs in Cin7 under allocations: a work order or a transfer can hold units too. Allocated is what counts.
with ordered as (
    select product_id, sum(units) as units, string_agg(distinct order_number, ', ' order by order_number) as orders
    from staging.allocated_orders
    group by product_id
),
allocated as (select product_id, sum(allocated) as units from staging.snapshot group by product_id),
unread as (
    from staging.sales
    where order_status in ('AUTHORISED', 'AUTH_NO_ALLOC') and not is_void and not has_detail
        and coalesce(status, '') <> 'COMPLETED' and coalesce(fulfilment_status, '') <> 'FULFILLED'
),
later as (
    select lines.product_id
    from staging.sales as sales
    join staging.order_lines as lines on lines.sale_id = sales.sale_id
    where sales.updated_at > (select max(taken_at) from raw.snapshots where trusted)
)
select products.sku, coalesce(allocated.units, 0) as allocated, coalesce(ordered.units, 0) as in_open_orders,
    ordered.orders
from staging.products as products
left join ordered on ordered.product_id = products.product_id
left join allocated on allocated.product_id = products.product_id
where products.is_stock and products.is_active and exists (from staging.snapshot)
    and coalesce(allocated.units, 0) <> coalesce(ordered.units, 0)
    -- an order that is not read yet, or is younger than the stock, proves nothing: what was found before stays
    and (
        not exists (from unread) and products.product_id not in (select product_id from later where product_id is not null)
        or exists (
            from operations.exception_items as items
            where items.class = 'allocated_is_ordered' and items.key = products.sku and items.resolved_at is null
        )
    )
order by abs(coalesce(allocated.units, 0) - coalesce(ordered.units, 0)) desc, products.sku
