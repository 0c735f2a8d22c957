-- grain: one row per SKU that is on one side and not on the other
-- key: missing_at, sku
-- meaning: SKUs that Emarsys lacks though Cin7 has them, and the other way round, with the cause; what to do about it stands in reconciliation.orphans.
-- @column missing_at: emarsys or cin7.
-- @column sku: The SKU; the product's id where it has none.
-- @column product_id: The product, where there is one.
-- @column cause: The rule that leaves it out, deprecated, not_yet_due (for a day at most), never_sent, rejected, not_collected_yet,
-- not_in_export (of an export a person took from Emarsys); the other way round: renamed, gone_from_cin7, still_available,
-- sold_but_unknown, only_in_emarsys (in such an export).
-- @column since: Since when, as far as it is known (UTC).
with told as (select distinct item from delivery.catalogue_items),
latest as (
    select key, arg_max(outcome, record_id) as outcome from delivery.records where flow = 'catalogue' group by key
),
export as (select item, max(taken_at) as taken_at from reconciliation.catalogue_export group by item),
newest as (
    select max(published_at) as published_at, max(collected_at) as collected_at from delivery.publications
),
there as (
    select 'emarsys' as missing_at, coalesce(products.sku, products.product_id) as sku, products.product_id,
        case
            when not products.is_active then 'deprecated'
            when excluded.rule is not null then excluded.rule
            when latest.outcome = 'rejected' then 'rejected'
            when newest.published_at is not null
                and products.updated_at > greatest(newest.published_at, tenant.as_of - interval 1 day) then 'not_yet_due'
            else 'never_sent'
        end as cause,
        products.updated_at as since
    from staging.products as products
    cross join newest
    cross join staging.tenant as tenant
    left join mart.excluded as excluded on excluded.flow = 'catalogue' and excluded.key = products.product_id
    left join latest on latest.key = products.sku
    where not exists (from told where told.item = products.sku)
        or excluded.rule = 'duplicate_sku' -- the item there is another product
    union all
    -- known only where we serve the file ourselves
    select 'emarsys', items.item, items.product_id, 'not_collected_yet', newest.published_at
    from delivery.catalogue_items as items
    cross join newest
    where newest.collected_at is not null
        and not exists (from delivery.catalogue_collected as collected where collected.item = items.item)
    union all
    select 'emarsys', collected.item, collected.product_id, 'not_in_export', (select max(taken_at) from export)
    from delivery.catalogue_collected as collected
    cross join newest
    where exists (from export) and not exists (from export where export.item = collected.item)
        and newest.collected_at < (select max(taken_at) from export)
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
unheard as (
    select 'cin7' as missing_at, export.item as sku, null as product_id, 'only_in_emarsys' as cause,
        export.taken_at as since
    from export
    where not exists (from told where told.item = export.item)
        and not exists (from delivery.catalogue_collected as collected where collected.item = export.item)
),
everything as (
    select * from there
    union all
    select * from unheard
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
select missing_at, sku, product_id, cause, since
from once
