-- grain: one row per product
-- key: product_id
-- feedback: delivery.catalogue_items
-- meaning: The price of each item before any hold, and how it differs from what Emarsys knows.
-- @column product_id: The product.
-- @column item: Its SKU.
-- @column cin7_price: Price of the policy's tier; null where Cin7 has none.
-- @column price: The same, or the last published price where Cin7 has none.
-- @column msrp: Recommended price, if a tier is named for it.
-- @column known_price: The price Emarsys knows.
-- @column change: Share by which the price would change; null where nothing changes.
-- @column no_price: Cin7 has no price in this tier.
with compared as (
    select
        products.product_id,
        products.sku as item,
        products.price as cin7_price,
        cast(coalesce(products.price, last.price) as decimal(18, 4)) as price,
        products.msrp,
        known.price as known_price
    from staging.products as products
    left join delivery.catalogue_items as last on last.item = products.sku
    left join mart.published as known on known.item = products.sku
)
select
    product_id, item, cin7_price, price, msrp, known_price,
    case when price <> known_price then cast(price as double) / nullif(cast(known_price as double), 0) - 1 end as change,
    cin7_price is null as no_price
from compared
