-- grain: one row per kit with a sound bill and sellable location
-- key: kit_id, location_key
-- empty without: mart.bills
-- meaning: How often a kit can be built now in each location from components that are free there, by whole runs.
-- A component that is a kit itself is taken from its stock, then built; what its components are needed for otherwise is
-- left for that. Kits that share a component each count it in full.
-- @column kit_id: The kit.
-- @column location_key: The location.
-- @column position: Its place in the policy, from 0.
-- @column runs: Runs of the bill.
-- @column units: Units of the kit, its own orders and holds left out: they come off after it is built.
-- @column beyond: Units that can be built on top of its own orders; null for a kit whose components are no kits, where it
-- follows from the units. Below a kit in between, what its own orders take cannot be told from what others take.
with recursive bills as (from mart.bills),
kits as (select distinct kit_id, makes, kit_level, is_nested from bills),
deepest as (select max(kit_level) as level from kits),
trees as (
    select kit_id, kit_id as product_id from kits where is_nested
    union
    select trees.kit_id, bills.component_id from trees join bills on bills.kit_id = trees.product_id
),
plain as (
    -- in whole ten-thousandths: a division of decimals is not exact
    select bills.kit_id, stock.location_key, stock.position,
        min(cast(stock.free * 10000 as hugeint) // cast(bills.need * 10000 as hugeint)) as runs
    from bills
    join mart.component_stock as stock on stock.component_id = bills.component_id and stock.kit_id = bills.kit_id
    where not bills.is_nested
    group by all
),
-- Kits above kits: components are shared between the levels, so runs are tried, halving the step each time. In a turn
-- the kits of one level ask their components; when all have, it is seen whether the components suffice. The first step is
-- the largest power of two within what all free units could make if nothing were shared and every bill the richest.
richest as (select cast(max(makes) as double) / least(min(need), 1) as yield from bills),
needs as (
    select trees.kit_id, places.location_key, places.position, trees.product_id, kits.makes, kits.kit_level,
        is_beyond, coalesce(case when not is_beyond then own.free end, others.free, 0) as free
    from trees
    cross join (values (false), (true)) as counted (is_beyond)
    cross join (select distinct location_key, position from mart.component_stock) as places
    left join kits on kits.kit_id = trees.product_id
    left join mart.component_stock as own on own.component_id = trees.product_id and own.kit_id = trees.kit_id
        and own.location_key = places.location_key
    left join mart.component_stock as others on others.component_id = trees.product_id and others.kit_id = ''
        and others.location_key = places.location_key and trees.product_id <> trees.kit_id
),
nested as (
    select needs.*,
        cast(pow(2, floor(log2(least(
            sum(free) over (partition by kit_id, location_key, is_beyond) * pow(greatest(yield, 1), deepest.level + 1)
                + 1, 524288
        )))) as integer) as first_step
    from needs, richest, deepest
),
tried as (
    select nested.* exclude (first_step), 0 as turn, 0 as low, first_step as step,
        cast(case when product_id = kit_id then first_step * makes else 0 end as decimal(38, 4)) as units
    from nested
    union all
    select turned.kit_id, turned.location_key, turned.position, turned.product_id, turned.makes, turned.kit_level,
        turned.is_beyond, turned.free,
        case when is_last then 0 else turn + 1 end,
        case when is_last and suffices then low + step else low end as low,
        case when is_last then step // 2 else step end as step,
        cast(case
            when not is_last then least(turned.units + asked, 1000000000)
            when product_id = kit_id
                then (case when suffices then low + step else low end + step // 2) * makes
            else 0
        end as decimal(38, 4))
    from (
        select tried.*, coalesce(taken.units, 0) as asked,
            tried.turn > deepest.level as is_last,
            bool_and(tried.makes is not null or tried.units <= tried.free)
                over (partition by tried.kit_id, tried.location_key, tried.is_beyond) as suffices
        from tried
        cross join deepest
        left join (
            select above.kit_id, above.location_key, above.is_beyond, bills.component_id,
                sum(cast((cast(greatest(above.units - above.free, 0) * 10000 as hugeint)
                    + cast(above.makes * 10000 as hugeint) - 1) // cast(above.makes * 10000 as hugeint)
                    as decimal(20, 0)) * bills.need) as units
            from tried as above
            join bills on bills.kit_id = above.product_id
            where above.kit_level = above.turn
            group by all
        ) as taken on taken.kit_id = tried.kit_id and taken.location_key = tried.location_key
            and taken.is_beyond = tried.is_beyond and taken.component_id = tried.product_id
        where tried.step > 0
    ) as turned
),
builds as (
    select kit_id, location_key, position, runs, cast(null as hugeint) as runs_beyond from plain
    union all
    select kit_id, location_key, position, max(low) filter (not is_beyond), max(low) filter (is_beyond)
    from tried
    where step = 0 and product_id = kit_id
    group by all
)
select builds.kit_id, builds.location_key, builds.position, cast(builds.runs as bigint) as runs,
    cast(builds.runs * kits.makes as decimal(18, 4)) as units,
    cast(builds.runs_beyond * kits.makes as decimal(18, 4)) as beyond
from builds
join kits on kits.kit_id = builds.kit_id
