-- grain: one row per product to read again
-- key: product_id
-- meaning: Products whose stock rows are read a second time, live, before what their figures ask for is believed; of a kit also
-- the components that limit it.
-- @column product_id: The product.
-- @column sku: Its SKU.
-- @column snapshot_id: The snapshot that the second look is to bear out.
with asking as (
    select asked.product_id, asked.sku, asked.snapshot_id
    from mart.confirmations as asked
    where asked.vanished or (asked.asks and asked.reason is null and not exists (
        from mart.held_flips as held
        where held.kind = 'rise' and held.item = asked.sku and held.released_at is null and held.ended_at is null
    ))
)
select product_id, sku, snapshot_id from asking
union
select parts.component_id, products.sku, asking.snapshot_id
from asking
join mart.kit_components as parts on parts.kit_id = asking.product_id and parts.limits
join staging.products as products on products.product_id = parts.component_id
