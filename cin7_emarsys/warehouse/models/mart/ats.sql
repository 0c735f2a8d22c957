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
-- @column kit_build: Units that can be built from components now (kit_builds says where); 0 for a product that is no kit.
-- @column requested_open_unallocated: Units ordered, but neither allocated nor picked nor shipped, and those
-- that orders for kits need (ats_orders and kit_demand name them).
-- @column charged_open_unallocated: Of these, what was left to charge.
-- @column requested_reserved: Units held for a price tier, tag or channel, less what they ordered already.
-- @column charged_reserved: Of these, what was left to charge.
-- @column requested_buffer: Units safety buffer.
-- @column charged_buffer: Of these, what was left to charge.
-- @column charged_fraction: Part of a unit left over; only whole units are promised. By policy all that is left of a product
-- that is not counted in whole units.
-- @column oversold: Requested, but no longer there to charge.
-- @column ats: Whole units that can be promised now.
-- figure available_skus: count(*) filter (ats > 0)
-- figure units_on_hand: coalesce(sum(on_hand), 0)
-- figure units_shortfall: coalesce(sum(shortfall), 0)
-- figure units_non_sellable_location: coalesce(sum(charged_non_sellable_location), 0)
-- figure units_blocked_bin: coalesce(sum(charged_blocked_bin), 0)
-- figure units_expired: coalesce(sum(charged_expired), 0)
-- figure units_allocated: coalesce(sum(charged_allocated), 0)
-- figure units_kit_build: coalesce(sum(kit_build), 0)
-- figure units_open_unallocated: coalesce(sum(charged_open_unallocated), 0)
-- figure units_reserved: coalesce(sum(charged_reserved), 0)
-- figure units_buffer: coalesce(sum(charged_buffer), 0)
-- figure units_fraction: coalesce(sum(charged_fraction), 0)
-- figure units_oversold: coalesce(sum(oversold), 0)
-- figure units_ats: coalesce(sum(ats), 0)
with moment as (
    select snapshot_id, taken_at, tenant.as_of
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
        cast(sum(snapshot.on_hand) filter (bar = 'non_sellable_location') as decimal(18, 4)) as non_sellable,
        cast(sum(snapshot.on_hand) filter (bar = 'blocked_bin') as decimal(18, 4)) as blocked,
        cast(sum(snapshot.on_hand) filter (bar = 'expired') as decimal(18, 4)) as expired,
        cast(sum(snapshot.allocated) filter (bar is null) as decimal(18, 4)) as allocated
    from staging.snapshot as snapshot, policy.settings as settings
    group by all
),
-- What a pool takes in and gives besides stock: orders without allocation, components that kits' orders need, builds.
moves as (
    select product_id, pool, cast(sum(ordered) as decimal(18, 4)) as ordered, cast(sum(built) as decimal(18, 4)) as built,
        cast(sum(beyond) as decimal(18, 4)) as beyond
    from (
        select product_id, case location_mode when 'separate' then location_key else '' end as pool, units as ordered,
            0 as built, 0 as beyond
        from mart.ats_orders, policy.settings
        union all
        select component_id, pool, order_units, 0, 0 from mart.kit_demand where order_units > 0
        union all
        select kit_id, case location_mode when 'separate' then location_key else '' end, 0, units, beyond
        from mart.kit_builds, policy.settings
        where units > 0
    )
    group by product_id, pool
),
joined as (
    select
        coalesce(stock.product_id, moves.product_id) as product_id,
        coalesce(stock.on_hand, 0) as on_hand,
        greatest(coalesce(stock.on_hand, 0), 0) as r0,
        greatest(coalesce(stock.non_sellable, 0), 0) as non_sellable,
        greatest(coalesce(stock.blocked, 0), 0) as blocked,
        greatest(coalesce(stock.expired, 0), 0) as expired,
        greatest(coalesce(stock.allocated, 0), 0) as allocated,
        coalesce(moves.ordered, 0) as unallocated,
        coalesce(moves.built, 0) as plain_built,
        coalesce(moves.beyond, 0) as beyond,
        stock.product_id is not null as in_snapshot
    from stock
    full join moves on moves.product_id = stock.product_id and moves.pool = stock.pool
),
-- t1 to t4: what a term and those before it have taken together. (An alias that is built from aliases is planned anew
-- wherever it stands, so chains of them are cut into steps.)
shelved as (
    select *,
        least(non_sellable, r0) as t1,
        least(non_sellable + blocked, r0) as t2,
        least(non_sellable + blocked + expired, r0) as t3,
        least(non_sellable + blocked + expired + allocated, r0) as t4
    from joined
),
assembled as (
    select *, greatest(
        plain_built, case when beyond > 0 then beyond + greatest(unallocated - (r0 - t4), 0) else 0 end
    ) as built
    from shelved
),
pools as (
    select *, t1 as c1, t2 - t1 as c2, t3 - t2 as c3, t4 - t3 as c4, least(unallocated, r0 - t4 + built) as c5
    from assembled
),
summed as (
    -- one pool is its own sum; summing it again would cost as much as all the rest
    select product_id, in_snapshot, on_hand, r0 - on_hand as shortfall, non_sellable, c1, blocked, c2, expired, c3,
        allocated, c4, built, unallocated, c5, r0 - t4 + built - c5 as r5
    from pools
    where (select location_mode from policy.settings) <> 'separate'
    union all
    select
        product_id,
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
        cast(sum(built) as decimal(18, 4)) as built,
        cast(sum(unallocated) as decimal(18, 4)) as unallocated,
        cast(sum(c5) as decimal(18, 4)) as c5,
        cast(sum(r0 - t4 + built - c5) as decimal(18, 4)) as r5
    from pools
    where (select location_mode from policy.settings) = 'separate'
    group by product_id
),
kit_holds as (
    select component_id, cast(sum(hold_units) as decimal(18, 4)) as units from mart.kit_demand group by component_id
),
-- Joined before the waterfall, so that its many columns are not copied into the table of a hash join.
ruled as (
    select rules.* exclude (hold_units), rules.hold_units + coalesce(kit_holds.units, 0) as hold_units
    from mart.stock_rules as rules
    left join kit_holds on kit_holds.component_id = rules.product_id
),
tracked as (
    select
        ruled.*, coalesce(summed.in_snapshot, false) as in_snapshot,
        coalesce(summed.on_hand, 0) as on_hand, coalesce(summed.shortfall, 0) as shortfall,
        coalesce(summed.non_sellable, 0) as non_sellable, coalesce(summed.c1, 0) as c1,
        coalesce(summed.blocked, 0) as blocked, coalesce(summed.c2, 0) as c2,
        coalesce(summed.expired, 0) as expired, coalesce(summed.c3, 0) as c3,
        coalesce(summed.allocated, 0) as allocated, coalesce(summed.c4, 0) as c4,
        coalesce(summed.built, 0) as built,
        coalesce(summed.unallocated, 0) as unallocated, coalesce(summed.c5, 0) as c5,
        -- whole units from here on: a share of part of a unit would let ats rise when stock falls
        floor(coalesce(summed.r5, 0)) as r5, coalesce(summed.r5, 0) - floor(coalesce(summed.r5, 0)) as part
    from ruled
    left join summed on summed.product_id = ruled.product_id
),
asked as (
    select *,
        hold_units + coalesce(greatest(
            cast(ceil(r5 * hold_percent * 0.01) as decimal(18, 4)) - hold_percent_ordered, 0
        ), 0) as reserved
    from tracked
),
-- 18 digits again, and 38 only where there is a percentage: floor and ceil of 38 cost a hundred times as much
held as (select *, cast(least(reserved, r5) as decimal(18, 4)) as c6 from asked),
buffered as (
    select *,
        coalesce(greatest(buffer_units, case when buffer_percent > 0 then cast(
            ceil(cast(r5 - c6 as decimal(28, 4)) * buffer_percent * 0.01) as decimal(18, 4)
        ) end), 0) as buffer
    from held
),
reserved as (
    select *, least(buffer, r5 - c6) as c7, greatest(r5 - c6 - buffer, 0) as r7,
        case when part > 0 and fractional_units = 'zero' then 0 else floor(r7) end as whole
    from buffered, policy.settings
),
-- A kit cannot be trusted further than its components.
distrust as (
    select snapshot_id, product_id, string_agg(distinct reason, '; ' order by reason) as reason
    from (
        from raw.snapshot_untrusted_skus
        union all
        select faults.snapshot_id, parts.kit_id, faults.sku, 'component ' || faults.sku || ': ' || faults.reason
        from raw.snapshot_untrusted_skus as faults
        join (select distinct kit_id, component_id from mart.kit_components) as parts
            on parts.component_id = faults.product_id
    )
    group by all
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
    cast(built as decimal(18, 4)) as kit_build,
    cast(unallocated as decimal(18, 4)) as requested_open_unallocated,
    cast(c5 as decimal(18, 4)) as charged_open_unallocated,
    cast(reserved as decimal(18, 4)) as requested_reserved,
    cast(c6 as decimal(18, 4)) as charged_reserved,
    cast(buffer as decimal(18, 4)) as requested_buffer,
    cast(c7 as decimal(18, 4)) as charged_buffer,
    cast(part + r7 - whole as decimal(18, 4)) as charged_fraction,
    cast(
        non_sellable - c1 + blocked - c2 + expired - c3 + allocated - c4 + unallocated - c5 + reserved - c6
        + buffer - c7 as decimal(18, 4)
    ) as oversold,
    cast(whole as bigint) as ats
from reserved
cross join moment
left join distrust on distrust.snapshot_id = moment.snapshot_id and distrust.product_id = reserved.product_id
