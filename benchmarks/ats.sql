-- The best single hand-written query for available to sell: one figure a SKU from the rows of availability as read and the same
-- tidied orders and products that ours reads; without terms, history, evidence or what an operator is told. It is right for
-- every merchant whose locations are one pool and whose products are no kits; holds are in units, for a price tier or channel.
create or replace table baseline as
with newest as (
    select snapshot_id, cast((taken_at at time zone 'UTC') at time zone time_zone as date) as today,
        today + min_shelf_life_days as must_last_until
    from raw.snapshots, staging.tenant, policy.settings
    where trusted
    order by taken_at desc, snapshot_id desc
    limit 1
),
sellable as (select distinct lower(trim(location)) as location_key from policy.sellable_locations),
places as (
    select Location, Bin, case
        when location_key not in (from sellable) then 'elsewhere'
        when exists (from staging.locations as named where named.location_key = place.location_key and is_blocked)
            or exists (
                from staging.bins as bins
                where bins.location_key = place.location_key and bins.bin_key = place.bin_key and is_staging
            )
            or exists (
                from policy.blocked_bins
                where lower(trim(entry)) in (place.bin_key, place.location_key || ': ' || place.bin_key)
            )
            then 'blocked'
    end as bar
    from (
        select Location, Bin, lower(trim(Location)) as location_key, lower(trim(Bin)) as bin_key
        from (select distinct Location, Bin from raw.availability)
    ) as place
),
-- Each sum is clamped by itself: what is missing in one place does not free what lies in another. 18 digits: arithmetic on
-- the 38 of a sum costs three times as much, rounding them a hundred times.
counted as (
    select lower(stock.ID) as product_id,
        cast(sum(OnHand) as decimal(18, 4)) as on_hand,
        cast(sum(OnHand) filter (bar = 'elsewhere') as decimal(18, 4)) as elsewhere,
        cast(sum(OnHand) filter (bar = 'blocked') as decimal(18, 4)) as blocked,
        cast(sum(OnHand) filter (bar is null and ExpiryDate < must_last_until) as decimal(18, 4)) as expired,
        cast(sum(Allocated) filter (bar is null and coalesce(ExpiryDate >= must_last_until, true)) as decimal(18, 4))
            as allocated
    from raw.availability as stock
    join newest on newest.snapshot_id = stock.snapshot_id
    join places on places.Location is not distinct from stock.Location and places.Bin is not distinct from stock.Bin
    group by all
),
waiting as (
    select product_id, cast(sum(greatest(ordered - coalesce(picked, 0), 0)) as decimal(18, 4)) as units
    from (
        select sale_id, product_id, sum(quantity) as ordered
        from staging.sales
        join staging.order_lines using (sale_id)
        where order_status = 'AUTH_NO_ALLOC' and not is_void and coalesce(status, '') <> 'COMPLETED'
            and coalesce(fulfilment_status, '') <> 'FULFILLED' and not is_drop_ship
            and (location_key is null or location_key in (from sellable))
        group by all
    )
    left join (
        select sale_id, product_id, sum(quantity) as picked from staging.pick_lines where is_taken group by all
    ) using (sale_id, product_id)
    group by product_id
),
drawn as (
    select hold, product_id, sum(quantity) as units
    from policy.holds
    join staging.sales on ordered_on >= from_date and is_ordered and not is_void
        and (lower(trim(price_tier)) = lower(trim(for_price_tier))
            or lower(trim(source_channel)) = lower(trim(for_source_channel)))
    join staging.order_lines using (sale_id)
    where not is_drop_ship
    group by all
),
held as (
    select products.product_id,
        cast(sum(greatest(holds.units - coalesce(drawn.units, 0), 0)) as decimal(18, 4)) as units
    from policy.holds as holds
    join newest on today between from_date and coalesce(until_date, today)
    join staging.products as products
        on lower(trim(holds.sku)) = lower(products.sku) or lower(trim(holds.category)) = products.category_key
    left join drawn on drawn.hold = holds.hold and drawn.product_id = products.product_id
    group by products.product_id
),
buffers as (
    select lower(trim(sku)) as sku_key, lower(trim(category)) as category_key, max(units) as units, max(percent) as percent
    from policy.buffers
    group by all
),
left_over as (
    select products.product_id,
        greatest(floor(greatest(
            greatest(coalesce(on_hand, 0), 0) - greatest(coalesce(elsewhere, 0), 0) - greatest(coalesce(blocked, 0), 0)
                - greatest(coalesce(expired, 0), 0) - greatest(coalesce(allocated, 0), 0), 0
        ) - coalesce(waiting.units, 0)) - coalesce(held.units, 0), 0) as units,
        case when of_sku.sku_key is not null then of_sku when of_category.category_key is not null then of_category
            else everything end as buffer
    from staging.products as products
    left join counted on counted.product_id = products.product_id
    left join waiting on waiting.product_id = products.product_id
    left join held on held.product_id = products.product_id
    left join buffers as of_sku on of_sku.sku_key = lower(products.sku)
    left join buffers as of_category on of_category.category_key = products.category_key
    left join buffers as everything on everything.sku_key is null and everything.category_key is null
    where products.is_stock
)
select product_id,
    cast(greatest(units - coalesce(greatest(buffer.units, case when buffer.percent > 0 then cast(
        ceil(cast(units as decimal(28, 4)) * buffer.percent * 0.01) as decimal(18, 4)
    ) end), 0), 0) as bigint) as ats
from left_over
