-- grain: one row per line of a credit note
-- key: document_id, line_no
-- meaning: What was credited, line by line; amounts are positive as in Cin7.
-- @column document_id: The credit note.
-- @column line_no: Place of the line, from 1; equal lines are separate lines.
-- @column product_id: The product.
-- @column sku: SKU on the line.
-- @column title: Name on the line.
-- @column quantity: Units.
-- @column amount: Quantity × price less discount, as on the document, in its currency.
-- @column tax: Tax of the line, in its currency.
-- @column net: The same without tax, in the currency of the document; what counts.
-- @column net_base: Net in the currency of the books, at the document's own rate.
-- @column tax_base: Tax in the currency of the books.
with lines as (
    select
        document_id, rate, tax_inclusive, unnest(content.Lines) as line, generate_subscripts(content.Lines, 1) as line_no
    from staging.credit_notes
),
priced as (
    select
        document_id, rate, tax_inclusive, line, line_no,
        case
            -- the plain case fits into 18 digits, which is ten times as fast as 38
            when coalesce(line.Discount, 0) = 0 and abs(line.Quantity) < 90000 and abs(line.Price) < 90000
                then cast(line.Quantity * line.Price as decimal(18, 4))
            else cast(
                cast(line.Quantity as decimal(28, 4)) * line.Price
                * cast(100 - coalesce(line.Discount, 0) as decimal(12, 4)) * 0.01
                as decimal(18, 4)
            )
        end as amount,
        coalesce(line.Tax, 0) as tax
    from lines
),
netted as (
    select *, cast(case when tax_inclusive then amount - tax else amount end as decimal(18, 4)) as net from priced
)
select
    document_id,
    line_no,
    lower(line.ProductID) as product_id,
    line.SKU as sku,
    line.Name as title,
    coalesce(line.Quantity, 0) as quantity,
    coalesce(amount, 0) as amount,
    tax,
    coalesce(net, 0) as net,
    case
        when rate = 1 then coalesce(net, 0)
        else cast(cast(coalesce(net, 0) as decimal(28, 4)) * rate as decimal(18, 4))
    end as net_base,
    case when rate = 1 then tax else cast(cast(tax as decimal(28, 4)) * rate as decimal(18, 4)) end as tax_base
from netted
