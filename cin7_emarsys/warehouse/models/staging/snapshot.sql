-- grain: one row per product, location, bin, batch and expiry date of the newest trusted snapshot
-- key: product_id, location_key, bin_key, batch, expires_on
-- materialize: view
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
)
select
    newest.snapshot_id,
    newest.taken_at,
    lower(stock.ID) as product_id,
    stock.SKU as sku,
    places.location_key,
    places.bin_key,
    stock.Batch as batch,
    stock.ExpiryDate as expires_on,
    coalesce(stock.OnHand, 0) as on_hand,
    coalesce(stock.Allocated, 0) as allocated,
    case
        when places.bar is not null then places.bar
        when stock.ExpiryDate < newest.must_last_until then 'expired'
    end as bar
from raw.availability as stock
join newest on newest.snapshot_id = stock.snapshot_id
join staging.stock_places as places
    on places.location is not distinct from stock.Location and places.bin is not distinct from stock.Bin
