-- grain: one row per kit that orders or holds wait for, whom it serves, pool of locations, and location where it can be assembled
-- key: kit_id, serves, pool, location_key
-- empty without: mart.bills
-- meaning: How often a kit can be assembled for those who wait for it, each in turn, from units that are promised to nobody
-- before them. Units that are allocated to younger orders are there for them, where the locations are one pool: those orders
-- are served later, or from elsewhere. A run is assembled in one place, or not at all. Who comes first: the date of the order,
-- then its number; holds come last.
-- @column kit_id: The kit.
-- @column serves: orders, or all: with holds, which name no location.
-- @column pool: Location that the orders ship from; empty where the locations are one pool, and with holds.
-- @column location_key: The location; the first of the policy that can assemble it comes first.
-- @column runs: Runs of the bill.
-- @column runs_before: Runs in the locations before it.
with recursive bills as (from mart.bills),
-- in whole ten-thousandths: a division of decimals is not exact
kits as (select distinct kit_id, cast(makes * 10000 as hugeint) as makes, kit_level from bills),
trees as (
    select kit_id, kit_id as product_id from kits
    union
    select trees.kit_id, bills.component_id from trees join bills on bills.kit_id = trees.product_id
),
stock as (
    select product_id, location_key, sum(on_hand) as on_hand, sum(allocated) as allocated
    from staging.snapshot
    where bar is null and product_id in (select product_id from trees)
    group by all
),
places as (
    select lower(trim(location)) as location_key, min(position) as position from policy.sellable_locations group by all
),
orders as (
    select orders.*, {'day': ordered_on, 'digits': length(sales.order_number), 'number': sales.order_number} as turn
    from (
        select sale_id, product_id, location_key, units, true as is_allocated from staging.allocated_orders
        union all
        select sale_id, product_id, location_key, units, false from mart.ats_orders
    ) as orders
    join staging.sales as sales on sales.sale_id = orders.sale_id
    where orders.product_id in (select product_id from trees)
),
promises as (
    select product_id, location_key, units, is_allocated, turn from orders
    union all
    -- allocated by Cin7, and no order that is known: before all others
    select stock.product_id, stock.location_key, stock.allocated - coalesce(known.units, 0), true,
        {'day': date '0001-01-01', 'digits': 0, 'number': ''}
    from stock
    left join (
        select product_id, location_key, sum(units) as units from orders where is_allocated group by all
    ) as known on known.product_id = stock.product_id and known.location_key = stock.location_key
    where stock.allocated > coalesce(known.units, 0)
),
holds as (
    select product_id, hold_units as units, {'day': date '9999-12-31', 'digits': 0, 'number': ''} as turn
    from mart.stock_rules
    where hold_units > 0 and product_id in (select kit_id from kits)
),
asked as (
    select 'orders' as serves, case location_mode when 'separate' then location_key else '' end as pool, product_id, units,
        turn
    from promises, policy.settings
    union all
    select 'all', '', product_id, units, turn from promises where exists (from holds)
    union all
    select 'all', '', product_id, units, turn from holds
),
own as (
    select 'orders' as serves, product_id, case location_mode when 'separate' then location_key else '' end as pool,
        sum(on_hand) as on_hand
    from stock, policy.settings
    group by all
    union all
    select 'all', product_id, '', sum(on_hand) from stock group by all
),
-- Those whom the kit's own stock does not serve, with the runs that they and those before them wait for.
waiting as (
    select row_number() over () as line, numbered.*
    from (
        select asked.serves, asked.pool, asked.product_id as kit_id, asked.turn,
            (cast(greatest(
                sum(asked.units) over (partition by asked.serves, asked.pool, asked.product_id order by asked.turn)
                - greatest(coalesce(own.on_hand, 0), 0), 0
            ) * 10000 as hugeint) + kits.makes - 1) // kits.makes as runs
        from asked
        join kits on kits.kit_id = asked.product_id
        left join own on own.serves = asked.serves and own.pool = asked.pool and own.product_id = asked.product_id
    ) as numbered
    where runs > 0
),
-- What of Cin7's Allocated is not before them, and what is before them besides.
before as (
    select waiting.line, promises.product_id, promises.location_key,
        sum(case when is_allocated then -promises.units else promises.units end) as units
    from waiting
    join trees on trees.kit_id = waiting.kit_id and trees.product_id <> waiting.kit_id
    join promises on promises.product_id = trees.product_id
        and case when is_allocated then promises.turn > waiting.turn and waiting.pool = ''
            else promises.turn < waiting.turn end
    group by all
),
found as (
    select waiting.line, waiting.kit_id, trees.product_id, places.location_key,
        case when trees.product_id = waiting.kit_id then 0
            else coalesce(stock.on_hand, 0) - coalesce(stock.allocated, 0) - coalesce(before.units, 0) end as units
    from waiting
    join trees on trees.kit_id = waiting.kit_id
    join places on waiting.pool in ('', places.location_key)
    left join stock on stock.product_id = trees.product_id and stock.location_key = places.location_key
    left join before on before.line = waiting.line and before.product_id = trees.product_id
        and before.location_key = places.location_key
),
-- From the kits of components upwards.
assembling as (
    select found.line, found.kit_id, found.product_id, found.location_key, kits.makes, kits.kit_level,
        -- who finds nothing in a place is served from another, which has that much less
        cast(greatest(least(units, sum(units) over (partition by line, found.product_id)), 0) * 10000 as hugeint) as free,
        cast(0 as hugeint) as runs, (select max(kit_level) from kits) as level
    from found
    left join kits on kits.kit_id = found.product_id
    union all
    select above.* replace (coalesce(built.runs, above.runs) as runs, above.level - 1 as level)
    from assembling as above
    left join (
        select bills.kit_id, parts.line, parts.location_key,
            min((parts.free + least(parts.runs, 1000000000) * coalesce(parts.makes, 0))
                // cast(bills.need * 10000 as hugeint)) as runs
        from bills
        join assembling as parts on parts.product_id = bills.component_id
        group by all
    ) as built on built.kit_id = above.product_id and built.line = above.line and built.location_key = above.location_key
        and above.kit_level = above.level
    where above.level >= 0
),
possible as (
    select waiting.kit_id, waiting.serves, waiting.pool, places.location_key, assembling.runs,
        least(waiting.runs, sum(assembling.runs) over whole) as runs_in_all,
        sum(assembling.runs) over up_to_here - assembling.runs as runs_before,
        waiting.turn, waiting.line
    from assembling
    join waiting on waiting.line = assembling.line
    join places on places.location_key = assembling.location_key
    where assembling.level = -1 and assembling.product_id = assembling.kit_id
    window
        whole as (partition by waiting.line),
        up_to_here as (partition by waiting.line order by places.position)
),
-- Once somebody gets less than is asked for, nobody after that gets more: the most that anybody gets is what all get.
most as (
    from possible
    qualify dense_rank() over (partition by kit_id, serves, pool order by runs_in_all desc, turn, line) = 1
)
select kit_id, serves, pool, location_key, cast(least(runs, runs_in_all - runs_before) as bigint) as runs,
    cast(runs_before as bigint) as runs_before
from most
where least(runs, runs_in_all - runs_before) > 0
