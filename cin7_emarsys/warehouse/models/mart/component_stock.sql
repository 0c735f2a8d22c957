-- grain: one row per component, kit that it is free for, and sellable location
-- key: component_id, kit_id, location_key
-- empty without: mart.bills
-- meaning: Units of a component in one location that are free to build a kit from: what is left after the component's
-- own terms. Orders of the location come off there, what names no location from the locations in policy order.
-- @column component_id: The component.
-- @column kit_id: The kit, whose own orders and holds without allocation are left out: they come off the kit after it is
-- built; empty for what is free when they are counted too.
-- @column location_key: The location.
-- @column position: Its place in the policy, from 0.
-- @column free: Units free there; kits that could be built of the component's own components not included.
with bills as (from mart.bills),
pairs as (select component_id, kit_id from bills union select component_id, '' from bills),
sellable as (
    select lower(trim(location)) as location_key, min(position) as position from policy.sellable_locations group by all
),
mode as (select location_mode = 'separate' as is_separate from policy.settings),
places as (
    select product_id, location_key,
        sum(on_hand) as on_hand,
        coalesce(sum(on_hand) filter (bar = 'non_sellable_location'), 0) as non_sellable,
        coalesce(sum(on_hand) filter (bar = 'blocked_bin'), 0) as blocked,
        coalesce(sum(on_hand) filter (bar = 'expired'), 0) as expired,
        coalesce(sum(on_hand) filter (bar is null), 0) as on_shelf,
        coalesce(sum(allocated) filter (bar is null), 0) as allocated
    from staging.snapshot
    where product_id in (select component_id from bills)
    group by all
),
orders as (
    select product_id, location_key, sum(units) as units
    from mart.ats_orders
    where product_id in (select component_id from bills)
    group by all
),
-- What kits ask of the component; of the kit that builds only what it has allocated beyond its stock.
asked as (
    select pairs.component_id, pairs.kit_id, demand.pool,
        sum(case when demand.kit_id = pairs.kit_id then demand.backordered_units else demand.order_units end)
            as order_units,
        sum(case when demand.kit_id = pairs.kit_id then 0 else demand.hold_units end) as hold_units
    from pairs
    join mart.kit_demand as demand on demand.component_id = pairs.component_id
    group by all
),
-- Where the locations are one pool: what is taken in the places where kits are assembled for those who wait.
placed as (
    select pairs.component_id, pairs.kit_id, turns.location_key,
        sum(greatest(least(
            turns.runs * bills.need,
            case when turns.kit_id = pairs.kit_id then demand.backordered_units - turns.runs_before * bills.need end
        ), 0)) as units
    from pairs
    join bills on bills.component_id = pairs.component_id
    join mart.kit_turns as turns on turns.kit_id = bills.kit_id and turns.serves = 'orders' and turns.pool = ''
    join mart.kit_demand as demand on demand.kit_id = turns.kit_id and demand.component_id = pairs.component_id
        and demand.pool = ''
    group by all
),
-- What remains before holds, pool by pool, as in the waterfall.
pools as (
    select product_id, case when is_separate then location_key else '' end as pool,
        greatest(
            greatest(sum(on_hand), 0) - greatest(sum(non_sellable), 0) - greatest(sum(blocked), 0)
            - greatest(sum(expired), 0), 0
        ) - greatest(sum(allocated), 0) as units
    from places, mode
    group by all
),
ordered as (
    select product_id, case when is_separate then location_key else '' end as pool, sum(units) as units
    from orders, mode
    group by all
),
remaining as (
    select pairs.component_id, pairs.kit_id,
        -- 18 digits: 38 mixed with a rounded 38 lose their decimals
        cast(sum(greatest(pools.units - coalesce(ordered.units, 0) - coalesce(asked.order_units, 0), 0))
            as decimal(18, 4)) as units
    from pairs
    join pools on pools.product_id = pairs.component_id
    left join ordered on ordered.product_id = pools.product_id and ordered.pool = pools.pool
    left join asked on asked.component_id = pairs.component_id and asked.kit_id = pairs.kit_id
        and asked.pool = pools.pool
    group by all
),
promised as (
    select remaining.component_id, remaining.kit_id,
        -- a share of part of a unit would let the kit rise when the component falls
        case when rules.hold_percent > 0 or rules.buffer_percent > 0 then floor(remaining.units)
            else remaining.units end as r5,
        greatest(r5 - coalesce(rules.hold_units, 0) - coalesce(kits.hold_units, 0) - coalesce(greatest(
            cast(ceil(r5 * rules.hold_percent * 0.01) as decimal(18, 4)) - rules.hold_percent_ordered, 0
        ), 0), 0) as r6,
        greatest(r6 - coalesce(greatest(rules.buffer_units, cast(ceil(r6 * rules.buffer_percent * 0.01) as decimal(18, 4))), 0), 0) as units
    from remaining
    left join mart.stock_rules as rules on rules.product_id = remaining.component_id
    left join (select component_id, kit_id, sum(hold_units) as hold_units from asked group by all) as kits
        on kits.component_id = remaining.component_id and kits.kit_id = remaining.kit_id
),
shelves as (
    select pairs.component_id, pairs.kit_id, sellable.location_key, sellable.position,
        greatest(
            coalesce(places.on_shelf, 0) - coalesce(places.allocated, 0) - coalesce(orders.units, 0)
            - coalesce(asked.order_units, 0) - coalesce(placed.units, 0), 0
        ) as units
    from pairs
    cross join sellable
    left join places on places.product_id = pairs.component_id and places.location_key = sellable.location_key
    left join orders on orders.product_id = pairs.component_id and orders.location_key = sellable.location_key
    left join asked on asked.component_id = pairs.component_id and asked.kit_id = pairs.kit_id
        and asked.pool = sellable.location_key
    left join placed on placed.component_id = pairs.component_id and placed.kit_id = pairs.kit_id
        and placed.location_key = sellable.location_key
),
-- The units that are on the shelves and not free are taken from the first locations.
taken as (
    select shelves.*, sum(shelves.units) over everywhere - coalesce(promised.units, 0)
        - (sum(shelves.units) over up_to_here - shelves.units) as still_to_take
    from shelves
    left join promised on promised.component_id = shelves.component_id and promised.kit_id = shelves.kit_id
    window
        everywhere as (partition by shelves.component_id, shelves.kit_id),
        up_to_here as (partition by shelves.component_id, shelves.kit_id order by shelves.position)
)
select component_id, kit_id, location_key, position,
    cast(greatest(units - greatest(still_to_take, 0), 0) as decimal(18, 4)) as free
from taken
