-- grain: one row per stock product
-- key: product_id
-- materialize: view
-- meaning: Holds and safety buffer of each product, over all rules. Of the buffers the most specific counts: SKU,
-- category, then the one that names neither.
-- @column product_id: The product.
-- @column sku: Its SKU.
-- @column hold_units: Units set aside and not ordered yet, over all holds in units.
-- @column hold_percent: Percent of what remains that is set aside, over all percent holds.
-- @column hold_percent_ordered: Units that those of the percent holds have ordered since.
-- @column buffer_for: What the buffer rule that counts names: sku, category or default; null for none.
-- @column buffer_units: Units never promised.
-- @column buffer_percent: Percent of what remains that is never promised.
with buffers as (
    select lower(trim(sku)) as sku_key, lower(trim(category)) as category_key, max(units) as units,
        max(percent) as percent
    from policy.buffers
    group by all
),
buffered as (
    select products.product_id, products.sku,
        case when of_sku.sku_key is not null then 'sku' when of_category.category_key is not null then 'category'
            when everything.units is not null or everything.percent is not null then 'default' end as names,
        case when of_sku.sku_key is not null then of_sku.units when of_category.category_key is not null
            then of_category.units else everything.units end as units,
        case when of_sku.sku_key is not null then of_sku.percent when of_category.category_key is not null
            then of_category.percent else everything.percent end as percent
    from staging.products as products
    left join buffers as of_sku on of_sku.sku_key = lower(products.sku)
    left join buffers as of_category on of_category.category_key = products.category_key
    left join buffers as everything on everything.sku_key is null and everything.category_key is null
    where products.is_stock
),
held as (
    select product_id, sum(units_left) as units, least(coalesce(sum(percent), 0), 100) as percent,
        sum(ordered) filter (percent is not null) as percent_ordered
    from mart.ats_holds
    group by product_id
)
select
    buffered.product_id,
    buffered.sku,
    cast(coalesce(held.units, 0) as decimal(18, 4)) as hold_units,
    cast(coalesce(held.percent, 0) as decimal(9, 4)) as hold_percent,
    cast(coalesce(held.percent_ordered, 0) as decimal(18, 4)) as hold_percent_ordered,
    buffered.names as buffer_for,
    cast(coalesce(buffered.units, 0) as decimal(18, 4)) as buffer_units,
    cast(coalesce(buffered.percent, 0) as decimal(9, 4)) as buffer_percent
from buffered
left join held on held.product_id = buffered.product_id
