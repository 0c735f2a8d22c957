-- grain: one row per product that was read a second time for the newest trusted snapshot
-- key: product_id
-- meaning: What the second look saw, row by row, compared with the snapshot.
-- @column product_id: The product.
-- @column looked_at: When it was read again (UTC, Cin7's clock).
-- @column lost: Free units that the snapshot showed and the second look did not.
-- @column gained: Free units that the second look showed and the snapshot did not.
-- @column trouble: Why the second look proves nothing; null where it does.
with newest as (
    select snapshot_id, headers_scanned_at
    from raw.snapshots
    where trusted
    order by taken_at desc, snapshot_id desc
    limit 1
),
scanned as (
    select greatest(max(watermark) filter (entity = 'sale_headers'), (select headers_scanned_at from newest)) as at
    from raw.watermarks
),
looks as (
    select lower(look.product_id) as product_id, look.looked_at,
        case
            when look.looked_at < tenant.as_of - interval 5 minutes then 'it is too old'
            -- orders that wait without an allocation do not show in what it sees
            when look.looked_at > scanned.at + interval 30 minutes then 'the orders were read long before it'
            else look.trouble
        end as trouble
    from raw.second_looks as look
    join newest on newest.snapshot_id = look.snapshot_id
    cross join staging.tenant as tenant
    cross join scanned
),
then_rows as (
    select lower(ID) as product_id, Location, Bin, Batch, ExpiryDate, sum(OnHand - Allocated) as free
    from raw.availability
    where lower(ID) in (select product_id from looks)
    group by all
),
now_rows as (
    select lower(ID) as product_id, Location, Bin, Batch, ExpiryDate, sum(OnHand - Allocated) as free
    from raw.second_look_rows
    where lower(ID) in (select product_id from looks)
    group by all
),
differences as (
    select coalesce(then_rows.product_id, now_rows.product_id) as product_id,
        coalesce(now_rows.free, 0) - coalesce(then_rows.free, 0) as more
    from then_rows
    full join now_rows
        on now_rows.product_id = then_rows.product_id
        and now_rows.Location is not distinct from then_rows.Location
        and now_rows.Bin is not distinct from then_rows.Bin
        and now_rows.Batch is not distinct from then_rows.Batch
        and now_rows.ExpiryDate is not distinct from then_rows.ExpiryDate
)
select
    looks.product_id, looks.looked_at,
    cast(coalesce(-sum(more) filter (more < 0), 0) as decimal(18, 4)) as lost,
    cast(coalesce(sum(more) filter (more > 0), 0) as decimal(18, 4)) as gained,
    looks.trouble
from looks
left join differences on differences.product_id = looks.product_id
group by all
