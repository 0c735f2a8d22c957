-- grain: one row per kit, component and pool of locations
-- key: kit_id, component_id, pool
-- empty without: mart.bills
-- meaning: Units that a component must leave for orders and holds of kits which the kits' own stock cannot serve: those
-- kits will be assembled from it. The component is charged with them as open_unallocated and reserved. What no place can
-- assemble now (kit_turns) takes nothing: its order waits, and so does nobody else.
-- @column kit_id: The kit that is ordered or held.
-- @column component_id: Its component.
-- @column pool: Location that the orders ship from; empty where the locations are one pool, and for holds.
-- @column backordered_units: For orders that are allocated beyond the kit's stock.
-- @column order_units: For these and the orders that are not allocated, those of kits above it included.
-- @column hold_units: For holds, beyond all orders.
with recursive bills as (from mart.bills),
-- in whole ten-thousandths: a division of decimals is not exact
kits as (select distinct kit_id, makes as run_makes, cast(makes * 10000 as hugeint) as makes, kit_level from bills),
products as (select kit_id as product_id from bills union select component_id from bills),
stock as (
    select rows.product_id, rows.location_key, sum(rows.on_hand) as on_hand, sum(rows.allocated) as allocated,
        -- in a recursive query the first branch says the type: a bare 0 would round what the others bring
        cast(0 as decimal(38, 4)) as ordered
    from staging.snapshot as rows
    where rows.bar is null and rows.product_id in (select product_id from products)
    group by all
    union all
    select product_id, location_key, 0, 0, sum(units)
    from mart.ats_orders
    where product_id in (select product_id from products)
    group by all
),
-- Orders are served pool by pool; with holds, which name no location, from everywhere.
pools as (
    select 'orders' as serves, product_id, case location_mode when 'separate' then location_key else '' end as pool,
        on_hand, allocated, ordered, cast(0 as decimal(38, 4)) as held
    from stock, policy.settings
    union all
    select 'all', product_id, '', on_hand, allocated, ordered, 0 from stock
    union all
    select 'all', product_id, '', 0, 0, 0, hold_units
    from mart.stock_rules
    where product_id in (select product_id from products)
),
asked as (
    select serves, pool, product_id, greatest(sum(on_hand), 0) as on_hand, greatest(sum(allocated), 0) as allocated,
        greatest(sum(allocated), 0) + sum(ordered) + sum(held) as units
    from pools
    group by all
),
-- From the kits that are a component of nothing downwards: when a level has its turn, all that is asked of it is known.
passing as (
    select asked_pools.serves, asked_pools.pool, products.product_id,
        kits.makes, kits.kit_level,
        coalesce(asked.on_hand, 0) as on_hand, coalesce(asked.allocated, 0) as allocated,
        cast(case when kits.kit_id is null then coalesce(asked.units, 0)
            else least(coalesce(asked.units, 0), coalesce(asked.on_hand, 0) + coalesce(turns.runs, 0) * kits.run_makes)
            end as decimal(38, 4)) as units, 0 as level
    from products
    cross join (select distinct serves, pool from asked) as asked_pools
    left join kits on kits.kit_id = products.product_id
    left join asked on asked.product_id = products.product_id and asked.serves = asked_pools.serves
        and asked.pool = asked_pools.pool
    left join (
        select kit_id, serves, pool, sum(runs) as runs from mart.kit_turns group by all
    ) as turns on turns.kit_id = products.product_id and turns.serves = asked_pools.serves and turns.pool = asked_pools.pool
    union all
    select passing.serves, passing.pool, passing.product_id, passing.makes, passing.kit_level, passing.on_hand,
        passing.allocated,
        cast(least(passing.units + coalesce(taken.units, 0), 1000000000) as decimal(38, 4)), passing.level + 1
    from passing
    left join (
        select above.serves, above.pool, bills.component_id,
            sum(cast((cast(greatest(above.units - above.on_hand, 0) * 10000 as hugeint) + above.makes - 1) // above.makes
                as decimal(20, 0)) * bills.need) as units
        from passing as above
        join bills on bills.kit_id = above.product_id
        where above.kit_level = above.level
        group by all
    ) as taken on taken.serves = passing.serves and taken.pool = passing.pool
        and taken.component_id = passing.product_id
    where passing.level <= (select max(kit_level) from kits)
),
unserved as (
    select serves, pool, product_id as kit_id,
        (cast(greatest(units - on_hand, 0) * 10000 as hugeint) + makes - 1) // makes as runs,
        (cast(greatest(allocated - on_hand, 0) * 10000 as hugeint) + makes - 1) // makes as backordered_runs
    from passing
    where makes is not null and level = (select max(level) from passing)
),
split as (
    select kit_id, pool, backordered_runs, runs as order_runs, cast(0 as hugeint) as hold_runs
    from unserved
    where serves = 'orders'
    union all
    select alls.kit_id, '', 0, 0,
        greatest(alls.runs - coalesce(orders.runs, 0), 0)
    from unserved as alls
    left join (select kit_id, sum(runs) as runs from unserved where serves = 'orders' group by kit_id) as orders
        on orders.kit_id = alls.kit_id
    where alls.serves = 'all'
)
select
    split.kit_id,
    bills.component_id,
    split.pool,
    cast(least(sum(split.backordered_runs) * any_value(bills.need), 1000000000) as decimal(18, 4)) as backordered_units,
    cast(least(sum(split.order_runs) * any_value(bills.need), 1000000000) as decimal(18, 4)) as order_units,
    cast(least(sum(split.hold_runs) * any_value(bills.need), 1000000000) as decimal(18, 4)) as hold_units
from split
join bills on bills.kit_id = split.kit_id
group by all
having sum(split.order_runs) > 0 or sum(split.hold_runs) > 0
