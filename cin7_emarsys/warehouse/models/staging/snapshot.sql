-- grain: one row per product, location, bin, batch and expiry date of the newest trusted snapshot
-- key: product_id, location_key, bin_key, batch, expires_on
-- meaning: Stock as Cin7 counted it in the newest snapshot that can be trusted, and what keeps a row from being sold.
-- @column snapshot_id: The snapshot.
-- @column taken_at: When it was begun, by Cin7's clock (UTC).
-- @column product_id: The product.
-- @column sku: SKU on the row.
-- @column location_key: Location, lower case.
-- @column bin_key: Bin, lower case; null for none.
-- @column batch: Batch or serial number.
-- @column expires_on: Expiry date.
-- @column on_hand: Units there.
-- @column allocated: Units set aside for authorised orders.
-- @column bar: Why the row cannot be sold: non_sellable_location, blocked_bin, expired; null where it can.
with newest as (
    select snapshot_id, taken_at,
        cast((taken_at at time zone 'UTC') at time zone tenant.time_zone as date) + settings.min_shelf_life_days
            as must_last_until
    from raw.snapshots, staging.tenant as tenant, policy.settings as settings
    where trusted
    order by taken_at desc, snapshot_id desc
    limit 1
),
places as (
    select Location, Bin,
        coalesce(within, lower(trim(Location))) as location_key,
        coalesce(lower(trim(Bin)), trim(substr(lower(Location), length(within) + 3))) as bin_key
    from (
        -- a bin can be named within the location, as "Location: Bin"
        select named.Location, named.Bin, case
            when lower(trim(named.Location)) not in (select location_key from staging.locations) then (
                select max_by(location_key, length(location_key))
                from staging.locations
                where starts_with(lower(named.Location), location_key || ': ')
            )
        end as within
        from (select distinct Location, Bin from raw.availability) as named
    )
),
barred as (
    select places.*,
        case
            when not exists (
                from policy.sellable_locations as sellable where lower(trim(sellable.location)) = places.location_key
            ) then 'non_sellable_location'
            when exists (
                from staging.locations as locations
                where locations.location_key = places.location_key and locations.is_blocked
            ) or exists (
                from staging.bins as bins
                where bins.location_key = places.location_key and bins.bin_key = places.bin_key and bins.is_staging
            ) or exists (
                from policy.blocked_bins as blocked
                where lower(trim(blocked.entry)) in (places.bin_key, places.location_key || ': ' || places.bin_key)
            ) then 'blocked_bin'
        end as bar
    from places
)
select
    newest.snapshot_id,
    newest.taken_at,
    lower(stock.ID) as product_id,
    stock.SKU as sku,
    barred.location_key,
    barred.bin_key,
    stock.Batch as batch,
    stock.ExpiryDate as expires_on,
    coalesce(stock.OnHand, 0) as on_hand,
    coalesce(stock.Allocated, 0) as allocated,
    case
        when barred.bar is not null then barred.bar
        when stock.ExpiryDate < newest.must_last_until then 'expired'
    end as bar
from raw.availability as stock
join newest on newest.snapshot_id = stock.snapshot_id
join barred
    on barred.Location is not distinct from stock.Location and barred.Bin is not distinct from stock.Bin
