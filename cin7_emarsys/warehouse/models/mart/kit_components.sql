-- grain: one row per kit, product in its bill or in the bills below it, and sellable location
-- key: kit_id, component_id, location_key
-- empty without: mart.bills
-- meaning: What each kit can be built from where, and which component keeps it from more.
-- @column kit_id: The kit.
-- @column component_id: The component.
-- @column location_key: The location.
-- @column is_direct: It stands in the kit's own bill; else in the bill of a component.
-- @column need: Units for one run of the kit; null where it is not direct.
-- @column free: Units of it that are free there for the kit.
-- @column built: Units of it that could be built there, where it is a kit itself.
-- @column allows: Runs that it alone would allow; null where it is not direct.
-- @column limits: It keeps the kit from another run there. Below a component that is a kit everything may.
-- @column shared_component: Another kit uses it too, so both promise it in full.
with recursive bills as (from mart.bills),
trees as (
    select kit_id, component_id, is_nested from bills
    union
    select trees.kit_id, bills.component_id, true from trees join bills on bills.kit_id = trees.component_id
),
counted as (
    select
        trees.kit_id, trees.component_id, stock.location_key, bills.need, trees.is_nested, stock.free,
        coalesce(builds.units, 0) as built,
        cast((stock.free + coalesce(builds.units, 0)) * 10000 as hugeint)
            // cast(bills.need * 10000 as hugeint) as allows
    from trees
    left join bills on bills.kit_id = trees.kit_id and bills.component_id = trees.component_id
    join mart.component_stock as stock on stock.component_id = trees.component_id
        and stock.kit_id = case when bills.kit_id is null then '' else trees.kit_id end
    left join mart.kit_builds as builds
        on builds.kit_id = trees.component_id and builds.location_key = stock.location_key
)
select
    kit_id,
    component_id,
    location_key,
    need is not null as is_direct,
    need,
    free,
    cast(built as decimal(18, 4)) as built,
    cast(allows as bigint) as allows,
    is_nested or allows = min(allows) over (partition by kit_id, location_key) as limits,
    count(distinct kit_id) over (partition by component_id) > 1 as shared_component
from counted
