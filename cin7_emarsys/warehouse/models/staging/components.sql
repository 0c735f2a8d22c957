-- grain: one row per kit and stock component of its bill of materials
-- key: kit_id, component_id
-- meaning: What one run of a kit's bill takes, and what it makes. Services in the bill are left out: they never limit.
-- @column kit_id: The kit.
-- @column kit_sku: Its SKU.
-- @column makes: Units of the kit that one run makes.
-- @column component_id: The component; where the bill names no id, the name it gives.
-- @column component_sku: SKU of the component, else as the bill spells it.
-- @column need: Units of it for one run, wastage included, rounded up to a ten-thousandth; at most a million.
-- @column fault: missing (Cin7 lists no such product), deprecated or no_quantity; null where it can be used.
with recipes as (
    select
        lower(ID) as kit_id,
        trim(SKU) as kit_sku,
        case when QuantityToProduce > 0 then least(QuantityToProduce, 1000000) else 1 end as makes,
        unnest(BillOfMaterialsProducts) as part
    from raw.products
    where AutoAssembly and lower(trim(Type)) = 'stock'
),
parts as (
    select
        recipes.kit_id, recipes.kit_sku, recipes.makes, products.product_id, products.is_active,
        coalesce(products.product_id, lower(recipes.part.ComponentProductID), recipes.part.ProductCode, '?')
            as component_id,
        coalesce(products.sku, recipes.part.ProductCode, recipes.part.ComponentProductID, '?') as component_sku,
        -- 38 digits: a bill may hold any number
        cast(recipes.part.Quantity as decimal(38, 4)) * (100 + coalesce(recipes.part.WastagePercent, 0)) * 0.01
            + coalesce(recipes.part.WastageQuantity, 0) as need
    from recipes
    left join staging.products as products on products.product_id = lower(recipes.part.ComponentProductID)
    where products.product_id is null or products.is_stock
)
select
    kit_id,
    any_value(kit_sku) as kit_sku,
    any_value(makes) as makes,
    component_id,
    any_value(component_sku) as component_sku,
    cast(least(ceil(coalesce(sum(need), 0) * 10000) * 0.0001, 1000000) as decimal(18, 4)) as need,
    case
        when any_value(product_id) is null then 'missing'
        when not any_value(is_active) then 'deprecated'
        when not bool_and(coalesce(need > 0, false)) then 'no_quantity'
    end as fault
from parts
group by kit_id, component_id
