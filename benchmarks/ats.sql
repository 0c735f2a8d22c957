-- The best single hand-written query for available to sell: from the rows as read to one figure a SKU, for pooled locations,
-- products that are no kits, holds of one price tier and buffers that name nothing. Without terms, history, evidence or kits.
create or replace table baseline as
with moment as (
    select snapshot_id, cast((taken_at at time zone 'UTC') at time zone 'Australia/Sydney' as date) as today
    from raw.snapshots where trusted order by taken_at desc, snapshot_id desc limit 1
),
settings as (from policy.settings),
free as (
    select lower(stock.ID) as product_id,
        sum(case when sellable.location is not null and blocked.entry is null and staged.bin is null
            and coalesce(stock.ExpiryDate >= moment.today + settings.min_shelf_life_days, true)
            then stock.OnHand - stock.Allocated else 0 end) as units
    from raw.availability as stock
    join moment on moment.snapshot_id = stock.snapshot_id
    cross join settings
    left join policy.sellable_locations as sellable on sellable.location = stock.Location
    left join policy.blocked_bins as blocked on blocked.entry = stock.Bin
    left join (
        select Name as location, bin.Name as bin from (select Name, unnest(Bins) as bin from raw.locations) where bin.IsStaging
    ) as staged on staged.location = stock.Location and staged.bin = stock.Bin
    group by 1
),
lines as (
    select lower(ID) as sale_id, "Order".Status as status, Status as sale_status, SaleOrderDate as ordered_on, PriceTier as tier,
        Location as location, unnest("Order".Lines, recursive := true)
    from raw.sales
),
orders as (
    select lower(ProductID) as product_id,
        sum(Quantity) filter (status = 'AUTH_NO_ALLOC' and sale_status = 'ORDERED'
            and location in (select location from policy.sellable_locations)) as waiting,
        sum(Quantity) filter (tier = (select for_price_tier from policy.holds)
            and ordered_on >= (select from_date from policy.holds)) as drawn
    from lines
    where status in ('AUTHORISED', 'AUTH_NO_ALLOC') and not coalesce(DropShip, false)
    group by 1
),
left_over as (
    select lower(products.ID) as product_id,
        greatest(coalesce(free.units, 0) - coalesce(orders.waiting, 0), 0) as open,
        case when products.Category = holds.category then greatest(holds.units - coalesce(orders.drawn, 0), 0) else 0 end as held,
        buffers.units as buffer
    from raw.products as products
    cross join policy.holds as holds
    cross join policy.buffers as buffers
    left join free on free.product_id = lower(products.ID)
    left join orders on orders.product_id = lower(products.ID)
    where products.Type = 'Stock'
)
select product_id, cast(floor(greatest(floor(open) - held - buffer, 0)) as bigint) as ats from left_over
