-- title: Allocated fits better when backorders are read the other way
-- assets: mart.ats
-- severity: warn
-- key: policy
-- owner: operations
-- means: Backordered units may be counted twice or not at all in what is promised.
-- next_step: Compare some of your backordered SKUs in Cin7; then set `backorders_are_allocated` in merchant.toml to the reading that fits.
with open_lines as (
    select lines.product_id, sum(lines.quantity) as ordered, sum(lines.backorder_quantity) as backordered
    from staging.sales as sales
    join staging.order_lines as lines on lines.sale_id = sales.sale_id and not lines.is_drop_ship
    where sales.order_status = 'AUTHORISED' and not sales.is_void
        and coalesce(sales.status, '') <> 'COMPLETED' and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
    group by lines.product_id
    having backordered > 0
),
shipped as (
    select picks.product_id, sum(picks.quantity) as units
    from staging.pick_lines as picks
    join staging.sales as sales on sales.sale_id = picks.sale_id
    where picks.is_shipped and sales.order_status = 'AUTHORISED' and not sales.is_void
        and coalesce(sales.status, '') <> 'COMPLETED' and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
    group by picks.product_id
),
allocated as (select product_id, sum(allocated) as units from staging.snapshot group by product_id),
fit as (
    select
        count(*) as skus,
        count(*) filter (coalesce(allocated.units, 0) = ordered - coalesce(shipped.units, 0)) as fits_with,
        count(*) filter (coalesce(allocated.units, 0) = ordered - backordered - coalesce(shipped.units, 0))
            as fits_without
    from open_lines
    left join shipped on shipped.product_id = open_lines.product_id
    left join allocated on allocated.product_id = open_lines.product_id
)
select fit.skus, fit.fits_with as backorders_are_allocated, fit.fits_without as backorders_are_not_allocated,
    settings.backorders_are_allocated as policy
from fit, policy.settings as settings
where (settings.backorders_are_allocated and fits_without > fits_with)
    or (not settings.backorders_are_allocated and fits_with > fits_without)
