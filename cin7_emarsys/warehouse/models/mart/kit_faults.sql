-- grain: one row per fault in the bill of materials of a kit
-- key: kit_id, fault, path
-- empty without: staging.components
-- meaning: Kits that cannot be built because their bill is wrong; such a kit builds 0 and its orders take no component.
-- What is above it in a bill can still use units of it that are in stock.
-- @column kit_id: The kit.
-- @column sku: Its SKU.
-- @column fault: cycle (it needs itself), missing, deprecated or no_quantity (of a component), or no_components.
-- @column path: The way down the bill to what is wrong, as SKUs.
with recursive ways as (
    select kit_id, component_id as at_id, [kit_id, component_id] as visited, kit_sku || ' → ' || component_sku as path
    from staging.components
    where fault is null
    union all
    select ways.kit_id, parts.component_id, list_append(ways.visited, parts.component_id),
        ways.path || ' → ' || parts.component_sku
    from ways
    join staging.components as parts on parts.kit_id = ways.at_id and parts.fault is null
    -- back at the start: found; at another place for the second time: a circle that is not of this kit
    where ways.at_id <> ways.kit_id and not list_contains(ways.visited[2:], parts.component_id)
)
select kit_id, split_part(path, ' → ', 1) as sku, 'cycle' as fault, path
from ways
where at_id = kit_id
union all
select kit_id, kit_sku, fault, kit_sku || ' → ' || component_sku from staging.components where fault is not null
union all
select product_id, sku, 'no_components', sku
from staging.products
where is_kit and is_stock and product_id not in (select kit_id from staging.components)
