-- grain: one row per SKU that is on one side and not on the other
-- key: missing_at, sku
-- meaning: SKUs that Emarsys lacks though Cin7 has them, and the other way round, with the cause and what to do.
-- @column missing_at: emarsys or cin7.
-- @column sku: The SKU; the product's id where it has none.
-- @column product_id: The product, where there is one.
-- @column cause: The rule that leaves it out, deprecated, not_yet_due, never_sent, not_collected_yet; the other way
-- round: renamed, gone_from_cin7, still_available, sold_but_unknown.
-- @column expected: It is so by a rule or will pass by itself; nobody has to do anything.
-- @column since: Since when, as far as it is known (UTC).
-- @column owner: Who answers for it.
-- @column next_step: What to do.
with told as (select distinct item from delivery.catalogue_items),
newest as (
    select max(published_at) as published_at, max(collected_at) as collected_at from delivery.publications
),
there as (
    select 'emarsys' as missing_at, coalesce(products.sku, products.product_id) as sku, products.product_id,
        case
            when not products.is_active then 'deprecated'
            when excluded.rule is not null then excluded.rule
            when newest.published_at is null or products.updated_at <= newest.published_at then 'never_sent'
            else 'not_yet_due'
        end as cause,
        products.updated_at as since
    from staging.products as products
    cross join newest
    left join mart.excluded as excluded on excluded.flow = 'catalogue' and excluded.key = products.product_id
    where not exists (from told where told.item = products.sku)
    union all
    -- known only where we serve the file ourselves
    select 'emarsys', items.item, items.product_id, 'not_collected_yet', newest.published_at
    from delivery.catalogue_items as items
    cross join newest
    where newest.collected_at is not null
        and not exists (from delivery.catalogue_collected as collected where collected.item = items.item)
),
gone as (
    select 'cin7' as missing_at, items.item as sku, items.product_id,
        case
            when items.available then 'still_available'
            when products.sku <> items.item then 'renamed'
            else 'gone_from_cin7'
        end as cause,
        raw_products._missing_since as since
    from delivery.catalogue_items as items
    left join staging.products as products on products.product_id = items.product_id
    left join raw.products as raw_products on lower(raw_products.ID) = items.product_id
    where not exists (from staging.products as listed where listed.sku = items.item)
        or raw_products._missing_since is not null
),
sold as (
    select 'cin7' as missing_at, lines.item as sku, null as product_id, 'sold_but_unknown' as cause,
        min(lines."timestamp") as since
    from mart.sales_lines as lines
    where not exists (from staging.products as products where lower(products.sku) = lower(lines.item))
        and not exists (from told where told.item = lines.item)
    group by lines.item
),
everything as (
    select * from there
    union all
    select * from gone
    union all
    select * from sold
),
once as (
    select missing_at, sku, any_value(product_id) as product_id, min(cause) as cause, min(since) as since
    from everything
    group by missing_at, sku
)
select
    missing_at, sku, product_id, cause,
    cause in ('deprecated', 'not_sold', 'not_yet_due', 'not_collected_yet', 'renamed', 'gone_from_cin7') as expected,
    since,
    case when cause in ('no_sku', 'duplicate_sku', 'deprecated', 'not_sold', 'renamed') then 'products' else 'operations' end
        as owner,
    case cause
        when 'deprecated' then 'Nothing, if the product was deprecated on purpose.'
        when 'not_sold' then 'Nothing, if it is not for sale; else mark it as sellable in Cin7.'
        when 'not_yet_due' then 'Nothing: it goes with the next product file.'
        when 'not_collected_yet' then 'Nothing: Emarsys has it when it next fetches the file.'
        when 'never_sent' then 'Publish the product file: cin7-emarsys sync products; a refused file says why.'
        when 'no_trusted_stock_yet' then 'Run cin7-emarsys sync stock; without a trusted snapshot its stock is not known.'
        when 'duplicate_sku' then 'Two products have this SKU: give each its own in Cin7.'
        when 'no_sku' then 'Give the product a SKU in Cin7.'
        when 'renamed' then 'Nothing, if the renaming was meant: the old item stays, not available.'
        when 'gone_from_cin7' then 'Nothing, if the product was deleted on purpose: the item stays, not available.'
        when 'still_available' then 'Cin7 no longer has it and Emarsys may still recommend it: cin7-emarsys sync products.'
        when 'sold_but_unknown' then 'An order names a SKU that Cin7 no longer has: the next product file lists it.'
        else 'See the rule ' || cause || ' in merchant.toml.'
    end as next_step
from once
