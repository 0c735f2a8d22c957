-- grain: one row per SKU that is on one side and not on the other
-- key: missing_at, sku
-- meaning: SKUs that Emarsys lacks though Cin7 has them, and the other way round, with the cause and what to do.
-- @column missing_at: emarsys or cin7.
-- @column sku: The SKU.
-- @column product_id: The product, where there is one.
-- @column cause: Why: not_published_yet, a rule that leaves it out, renamed, gone_from_cin7, or sold_but_unknown.
-- @column since: Since when, as far as it is known (UTC).
-- @column owner: Who answers for it.
-- @column next_step: What to do.
with told as (select distinct item from delivery.catalogue_items),
there as (
    select 'emarsys' as missing_at, coalesce(products.sku, products.product_id) as sku, products.product_id,
        coalesce(any_value(excluded.rule), 'not_published_yet') as cause, any_value(products.updated_at) as since
    from staging.products as products
    left join mart.excluded as excluded on excluded.flow = 'catalogue' and excluded.key = products.product_id
    where products.is_active and products.is_sellable
        and not exists (from told where told.item = products.sku)
    group by all
),
here as (
    select 'cin7', items.item, items.product_id, coalesce(listed.held_reason, 'gone_from_cin7'), null
    from delivery.catalogue_items as items
    left join mart.catalogue as listed on listed.item = items.item
    where not exists (
        from staging.products as products where products.sku = items.item and products.is_active
    ) and not exists (
        -- a deprecated product is still there, and is meant to be off
        from staging.products as products where products.sku = items.item
    )
),
sold as (
    select 'cin7', lines.item, null, 'sold_but_unknown', min(lines."timestamp")
    from mart.sales_lines as lines
    where not exists (from staging.products as products where lower(products.sku) = lower(lines.item))
        and not exists (from told where told.item = lines.item)
    group by all
)
select
    missing_at, sku, product_id, cause, since, 'operations' as owner,
    case cause
        when 'not_published_yet' then 'Publish the product file: cin7-emarsys sync products.'
        when 'no_trusted_stock_yet' then 'Run the stock job; without a trusted snapshot its stock is not known.'
        when 'duplicate_sku' then 'Two products have this SKU: give each its own in Cin7.'
        when 'no_sku' then 'Give the product a SKU in Cin7.'
        when 'renamed' then 'Nothing, if the renaming was meant: the old item stays, not available.'
        when 'gone_from_cin7' then 'Nothing, if the product was deleted on purpose: the item stays, not available.'
        when 'sold_but_unknown' then 'An order names a SKU that Cin7 no longer has; it is listed from the order.'
        else 'See the rule ' || cause || ' in merchant.toml.'
    end as next_step
from (from there union all from here union all from sold)
