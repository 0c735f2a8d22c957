-- grain: one row per line of a pick
-- key: sale_id, fulfilment_no, line_no
-- meaning: Units picked for a sale; ship lines in Cin7 name no product, so these stand for both.
-- @column sale_id: The sale.
-- @column fulfilment_no: The fulfilment.
-- @column line_no: Place of the line in the pick, from 1.
-- @column product_id: The product.
-- @column sku: SKU on the line.
-- @column quantity: Units picked.
-- @column is_taken: The pick or its shipment is authorised.
-- @column is_shipped: The shipment is authorised.
with listed as (
    select sale_id, fulfilment_no, unnest(lines) as line, generate_subscripts(lines, 1) as line_no
    from staging.fulfilments
)
select
    sale_id,
    fulfilment_no,
    line_no,
    lower(line.picked.ProductID) as product_id,
    line.picked.SKU as sku,
    coalesce(line.picked.Quantity, 0) as quantity,
    line.is_taken,
    line.is_shipped
from listed
