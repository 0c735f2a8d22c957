-- grain: one row per line of an order
-- key: sale_id, line_no
-- meaning: What was ordered; the basis of open demand, holds and the texts of order mails.
-- @column sale_id: The sale.
-- @column line_no: Place of the line in the order, from 1.
-- @column product_id: The product.
-- @column sku: SKU on the line.
-- @column title: Name on the line.
-- @column quantity: Units ordered; a barcode in the wrong field counts as a thousand million.
-- @column unit_price: Price of one unit in the currency of the sale.
-- @column discount: Discount in percent.
-- @column is_drop_ship: Shipped by the supplier, never from own stock.
-- @column backorder_quantity: Units waiting for stock.
with lines as (
    select lower(ID) as sale_id, unnest("Order".Lines) as line, generate_subscripts("Order".Lines, 1) as line_no
    from raw.sales
)
select
    sale_id,
    line_no,
    lower(line.ProductID) as product_id,
    line.SKU as sku,
    line.Name as title,
    coalesce(least(line.Quantity, 1000000000), 0) as quantity, -- sums of many such lines have to fit
    line.Price as unit_price,
    coalesce(line.Discount, 0) as discount,
    coalesce(line.DropShip, false) as is_drop_ship,
    coalesce(least(line.BackorderQuantity, 1000000000), 0) as backorder_quantity
from lines
