-- grain: one row per stock product and span in which its waterfall did not change
-- key: product_id
-- materialize: history at as_of ignoring snapshot_id, taken_at
-- meaning: Available to sell, with every deduction from on hand to what marketing may promise now.
-- on_hand + shortfall + kit_build - all charged = ats, exactly.
-- @column snapshot_id: Snapshot in which this waterfall was first seen.
-- @column taken_at: When that snapshot was begun (UTC).
-- @column as_of: The latest moment, by Cin7's clock, at which something had been read (UTC): orders move a waterfall between
-- two snapshots.
-- @column product_id: The product.
-- @column sku: Its SKU.
-- @column in_snapshot: The snapshot has rows of it; without any, stock is 0.
-- @column untrusted_reason: Why the figures of this SKU cannot be trusted in this snapshot; its state then stays.
-- @column on_hand: Units on hand in all locations, as Cin7 sums them.
-- @column shortfall: What is missing to 0 where on hand is negative.
-- @column requested_non_sellable_location: Units on hand outside the sellable locations.
-- @column charged_non_sellable_location: Of these, what was left to charge.
-- @column requested_blocked_bin: Units on hand in blocked or staging bins of sellable locations.
-- @column charged_blocked_bin: Of these, what was left to charge.
-- @column requested_expired: Units on hand without enough shelf life left.
-- @column charged_expired: Of these, what was left to charge.
-- @column requested_allocated: Units set aside for authorised orders.
-- @column charged_allocated: Of these, what was left to charge.
-- @column kit_build: Units that can be built from components now; 0 for a product that is no kit, and for now for kits too.
-- @column requested_open_unallocated: Units ordered, but neither allocated nor picked nor shipped.
-- @column charged_open_unallocated: Of these, what was left to charge.
-- @column requested_reserved: Units held for a price tier, tag or channel, less what they ordered already.
-- @column charged_reserved: Of these, what was left to charge.
-- @column requested_buffer: Units safety buffer.
-- @column charged_buffer: Of these, what was left to charge.
-- @column charged_fraction: Part of a unit left over; only whole units are promised.
-- @column oversold: Requested, but no longer there to charge.
-- @column ats: Whole units that can be promised now.
with moment as (
    select snapshot_id, taken_at, tenant.as_of,
        cast((taken_at at time zone 'UTC') at time zone tenant.time_zone as date) as today
    from raw.snapshots, staging.tenant as tenant
    where trusted
    order by taken_at desc, snapshot_id desc
    limit 1
),
-- Sellable locations are one pool, or each its own; the terms down to open_unallocated are worked out per pool.
stock as (
    select
        snapshot.product_id,
        case settings.location_mode when 'separate' then snapshot.location_key else '' end as pool,
        -- 18 digits from here on: arithmetic on the 38 of a sum costs three times as much
        cast(sum(snapshot.on_hand) as decimal(18, 4)) as on_hand,
        cast(greatest(coalesce(sum(snapshot.on_hand) filter (bar = 'non_sellable_location'), 0), 0) as decimal(18, 4))
            as non_sellable,
        cast(greatest(coalesce(sum(snapshot.on_hand) filter (bar = 'blocked_bin'), 0), 0) as decimal(18, 4))
            as blocked,
        cast(greatest(coalesce(sum(snapshot.on_hand) filter (bar = 'expired'), 0), 0) as decimal(18, 4)) as expired,
        cast(greatest(coalesce(sum(snapshot.allocated) filter (bar is null), 0), 0) as decimal(18, 4)) as allocated,
        any_value(snapshot.sku) as sku
    from staging.snapshot as snapshot, policy.settings as settings
    group by all
),
sellable as (
    select lower(trim(location)) as location_key, position,
        first_value(lower(trim(location))) over (order by position) as first_key
    from policy.sellable_locations
),
open_sales as (
    select
        sales.sale_id,
        case
            when settings.location_mode <> 'separate' then ''
            else coalesce(sales.location_key, (select any_value(first_key) from sellable))
        end as pool,
        sales.order_status = 'AUTHORISED' as only_backorders
    from staging.sales as sales, policy.settings as settings
    where not sales.is_void
        and coalesce(sales.status, '') <> 'COMPLETED'
        and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
        and (
            sales.order_status = 'AUTH_NO_ALLOC'
            or (sales.order_status = 'DRAFT' and settings.draft_orders_reserve)
            or (sales.order_status = 'AUTHORISED' and not settings.backorders_are_allocated)
        )
        and (sales.location_key is null or sales.location_key in (select location_key from sellable))
),
ordered as (
    select open_sales.sale_id, open_sales.pool, open_sales.only_backorders, lines.product_id,
        sum(case when open_sales.only_backorders then lines.backorder_quantity else lines.quantity end) as units
    from open_sales
    join staging.order_lines as lines on lines.sale_id = open_sales.sale_id and not lines.is_drop_ship
    group by all
),
taken as (
    select sale_id, product_id, sum(quantity) as units
    from staging.pick_lines
    where is_taken and sale_id in (select sale_id from open_sales where not only_backorders)
    group by all
),
demand as (
    select ordered.product_id, ordered.pool,
        cast(sum(greatest(ordered.units - coalesce(taken.units, 0), 0)) as decimal(18, 4)) as units
    from ordered
    left join taken on taken.sale_id = ordered.sale_id and taken.product_id = ordered.product_id
    group by all
),
pools as (
    select
        coalesce(stock.product_id, demand.product_id) as product_id,
        coalesce(stock.on_hand, 0) as on_hand,
        greatest(coalesce(stock.on_hand, 0), 0) as r0,
        coalesce(stock.non_sellable, 0) as non_sellable,
        coalesce(stock.blocked, 0) as blocked,
        coalesce(stock.expired, 0) as expired,
        coalesce(stock.allocated, 0) as allocated,
        coalesce(demand.units, 0) as unallocated,
        stock.sku,
        stock.product_id is not null as in_snapshot,
        least(coalesce(stock.non_sellable, 0), r0) as c1,
        least(coalesce(stock.blocked, 0), r0 - c1) as c2,
        least(coalesce(stock.expired, 0), r0 - c1 - c2) as c3,
        least(coalesce(stock.allocated, 0), r0 - c1 - c2 - c3) as c4,
        least(coalesce(demand.units, 0), r0 - c1 - c2 - c3 - c4) as c5
    from stock
    full join demand on demand.product_id = stock.product_id and demand.pool = stock.pool
),
summed as (
    -- one pool is its own sum; summing it again would cost as much as all the rest
    select product_id, sku, in_snapshot, on_hand, r0 - on_hand as shortfall, non_sellable, c1, blocked, c2, expired, c3,
        allocated, c4, unallocated, c5, r0 - c1 - c2 - c3 - c4 - c5 as r5
    from pools
    where (select location_mode from policy.settings) <> 'separate'
    union all
    select
        product_id,
        any_value(sku) as sku,
        bool_or(in_snapshot) as in_snapshot,
        cast(sum(on_hand) as decimal(18, 4)) as on_hand,
        cast(sum(r0 - on_hand) as decimal(18, 4)) as shortfall,
        cast(sum(non_sellable) as decimal(18, 4)) as non_sellable,
        cast(sum(c1) as decimal(18, 4)) as c1,
        cast(sum(blocked) as decimal(18, 4)) as blocked,
        cast(sum(c2) as decimal(18, 4)) as c2,
        cast(sum(expired) as decimal(18, 4)) as expired,
        cast(sum(c3) as decimal(18, 4)) as c3,
        cast(sum(allocated) as decimal(18, 4)) as allocated,
        cast(sum(c4) as decimal(18, 4)) as c4,
        cast(sum(unallocated) as decimal(18, 4)) as unallocated,
        cast(sum(c5) as decimal(18, 4)) as c5,
        cast(sum(r0 - c1 - c2 - c3 - c4 - c5) as decimal(18, 4)) as r5
    from pools
    where (select location_mode from policy.settings) = 'separate'
    group by product_id
),
holders as (
    select holds.hold, lines.product_id, sum(lines.quantity) as units
    from policy.holds as holds
    join staging.sales as sales on sales.ordered_on >= holds.from_date and sales.is_ordered and not sales.is_void
    left join staging.customers as customers on customers.customer_id = sales.customer_id
    join staging.order_lines as lines on lines.sale_id = sales.sale_id and not lines.is_drop_ship
    where (holds.for_price_tier is not null and lower(trim(sales.price_tier)) = lower(trim(holds.for_price_tier)))
        or (holds.for_source_channel is not null
            and lower(trim(sales.source_channel)) = lower(trim(holds.for_source_channel)))
        or (holds.for_tag is not null and list_contains(customers.tags, lower(trim(holds.for_tag))))
    group by all
),
held as (
    select products.product_id, holds.units, holds.percent, coalesce(holders.units, 0) as ordered
    from policy.holds as holds
    join moment on moment.today between holds.from_date and coalesce(holds.until_date, moment.today)
    join staging.products as products
        on lower(trim(holds.sku)) = lower(products.sku) or lower(trim(holds.category)) = products.category_key
    left join holders on holders.hold = holds.hold and holders.product_id = products.product_id
),
sku_buffers as (
    select lower(trim(sku)) as sku_key, max(units) as units, max(percent) as percent
    from policy.buffers
    where sku is not null
    group by all
),
category_buffers as (
    select lower(trim(category)) as category_key, max(units) as units, max(percent) as percent
    from policy.buffers
    where category is not null
    group by all
),
default_buffer as (
    select max(units) as units, max(percent) as percent from policy.buffers where sku is null and category is null
),
tracked as (
    select
        products.product_id, products.sku, coalesce(summed.in_snapshot, false) as in_snapshot,
        coalesce(summed.on_hand, 0) as on_hand, coalesce(summed.shortfall, 0) as shortfall,
        coalesce(summed.non_sellable, 0) as non_sellable, coalesce(summed.c1, 0) as c1,
        coalesce(summed.blocked, 0) as blocked, coalesce(summed.c2, 0) as c2,
        coalesce(summed.expired, 0) as expired, coalesce(summed.c3, 0) as c3,
        coalesce(summed.allocated, 0) as allocated, coalesce(summed.c4, 0) as c4,
        coalesce(summed.unallocated, 0) as unallocated, coalesce(summed.c5, 0) as c5,
        -- whole units from here on: a share of part of a unit would let ats rise when stock falls
        floor(coalesce(summed.r5, 0)) as r5, coalesce(summed.r5, 0) - floor(coalesce(summed.r5, 0)) as part,
        case when sku_buffers.sku_key is not null then sku_buffers.units
            when category_buffers.category_key is not null then category_buffers.units
            else default_buffer.units end as buffer_units,
        case when sku_buffers.sku_key is not null then sku_buffers.percent
            when category_buffers.category_key is not null then category_buffers.percent
            else default_buffer.percent end as buffer_percent
    from staging.products as products
    left join summed on summed.product_id = products.product_id
    left join sku_buffers on sku_buffers.sku_key = lower(products.sku)
    left join category_buffers on category_buffers.category_key = products.category_key
    cross join default_buffer
    where products.is_stock
),
reserving as (
    select held.product_id,
        coalesce(sum(greatest(held.units - held.ordered, 0)), 0) + coalesce(greatest(
            ceil(any_value(tracked.r5) * least(sum(held.percent), 100) * 0.01)
            - sum(held.ordered) filter (held.percent is not null), 0
        ), 0) as units
    from held
    join tracked on tracked.product_id = held.product_id
    group by held.product_id
),
reserved as (
    select tracked.*, coalesce(reserving.units, 0) as reserved, least(coalesce(reserving.units, 0), r5) as c6,
        r5 - c6 as r6,
        greatest(coalesce(buffer_units, 0), coalesce(ceil(r6 * buffer_percent * 0.01), 0)) as buffer,
        least(buffer, r6) as c7, r6 - c7 as r7
    from tracked
    left join reserving on reserving.product_id = tracked.product_id
)
select
    moment.snapshot_id,
    moment.taken_at,
    moment.as_of,
    reserved.product_id,
    reserved.sku,
    reserved.in_snapshot,
    distrust.reason as untrusted_reason,
    cast(on_hand as decimal(18, 4)) as on_hand,
    cast(shortfall as decimal(18, 4)) as shortfall,
    cast(non_sellable as decimal(18, 4)) as requested_non_sellable_location,
    cast(c1 as decimal(18, 4)) as charged_non_sellable_location,
    cast(blocked as decimal(18, 4)) as requested_blocked_bin,
    cast(c2 as decimal(18, 4)) as charged_blocked_bin,
    cast(expired as decimal(18, 4)) as requested_expired,
    cast(c3 as decimal(18, 4)) as charged_expired,
    cast(allocated as decimal(18, 4)) as requested_allocated,
    cast(c4 as decimal(18, 4)) as charged_allocated,
    cast(0 as decimal(18, 4)) as kit_build,
    cast(unallocated as decimal(18, 4)) as requested_open_unallocated,
    cast(c5 as decimal(18, 4)) as charged_open_unallocated,
    cast(reserved as decimal(18, 4)) as requested_reserved,
    cast(c6 as decimal(18, 4)) as charged_reserved,
    cast(buffer as decimal(18, 4)) as requested_buffer,
    cast(c7 as decimal(18, 4)) as charged_buffer,
    cast(part + r7 - floor(r7) as decimal(18, 4)) as charged_fraction,
    cast(
        non_sellable - c1 + blocked - c2 + expired - c3 + allocated - c4 + unallocated - c5 + reserved - c6
        + buffer - c7 as decimal(18, 4)
    ) as oversold,
    cast(floor(r7) as bigint) as ats
from reserved
cross join moment
left join (
    select snapshot_id, product_id, string_agg(distinct reason, '; ' order by reason) as reason
    from raw.snapshot_untrusted_skus
    group by all
) as distrust on distrust.snapshot_id = moment.snapshot_id and distrust.product_id = reserved.product_id
