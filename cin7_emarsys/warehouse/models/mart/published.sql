-- grain: one row per item of the product file that Emarsys compares with
-- key: item
-- feedback: delivery.catalogue_collected, delivery.catalogue_items
-- meaning: What Emarsys believes of each item: the version it last collected, or, where that is unknown, the last published.
-- @column item: Item id.
-- @column product_id: The product.
-- @column available: Shown as available there.
-- @column price: Price there.
-- @column c_stock: Stock there.
-- @column c_low_stock: Number the low-stock programme watches there.
-- @column c_stock_state: Stock state there.
select item, product_id, available, cast(price as decimal(18, 4)) as price, cast(c_stock as bigint) as c_stock,
    cast(c_low_stock as bigint) as c_low_stock, c_stock_state
from delivery.catalogue_collected
union all
select item, product_id, available, cast(price as decimal(18, 4)), cast(c_stock as bigint),
    cast(c_low_stock as bigint), c_stock_state
from delivery.catalogue_items
where not exists (from delivery.catalogue_collected)
