-- grain: one row per line, and per additional charge, of an invoice or credit note
-- key: document_kind, document_id, is_charge, line_no
-- meaning: What was invoiced or credited, line by line, goods and services alike; and the free-text charges beside the
-- lines: order-level discounts (negative), shipping and handling (positive). Amounts of a credit note are positive.
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column is_charge: An additional charge, not a line.
-- @column line_no: Place among the lines, or among the charges, from 1; equal lines are separate lines.
-- @column product_id: The product; null for a charge.
-- @column sku: SKU on the line.
-- @column title: Name on the line; of a charge what it is for, as typed.
-- @column quantity: Units.
-- @column amount: Quantity × price less discount, as on the document, in its currency; 0 where no document can have it.
-- @column tax: Tax of the line, in its currency.
-- @column net: The same without tax, in the currency of the document.
-- @column counts: Every line; of charges the discounts, and what the policy calls revenue. The rest is outside value.
-- @column oddity: What no line should have (a discount over 100 %, a negative quantity or price); it counts as written. Or
-- an amount no document can have (a barcode in the wrong field): such a line counts as nothing.
-- @column net_base: Net in the currency of the books, at the document's own rate.
-- @column tax_base: Tax in the currency of the books.
with invoiced as not materialized ( -- read twice, for lines and for charges: to keep it would keep every line in memory
    select lower(ID) as sale_id, unnest(Invoices) as document, generate_subscripts(Invoices, 1) as place from raw.sales
),
documents as not materialized (
    select 'invoice' as document_kind, invoices.document_id, invoices.rate, invoices.tax_inclusive,
        document.Lines as lines, document.AdditionalCharges as charges
    from invoiced
    join staging.invoices as invoices using (sale_id, place)
    union all
    select 'credit_note', document_id, rate, tax_inclusive, content.Lines, content.AdditionalCharges
    from staging.credit_notes
),
charges as (
    select document_kind, document_id, rate, tax_inclusive, generate_subscripts(charges, 1) as line_no,
        unnest([
            {
                'ProductID': null, 'SKU': null, 'Name': charge.Description, 'Quantity': charge.Quantity,
                'Price': charge.Price, 'Discount': charge.Discount, 'Tax': charge.Tax, 'Total': charge.Total
            } for charge in charges
        ]) as line
    from documents
    where len(charges) > 0
),
listed as (
    select document_kind, document_id, rate, tax_inclusive, false as is_charge, true as is_revenue, unnest(lines) as line,
        generate_subscripts(lines, 1) as line_no
    from documents
    union all by name
    select document_kind, document_id, rate, tax_inclusive, true as is_charge, line_no, line, exists (
        from policy.revenue_charges as revenue where regexp_matches(charges.line.Name, revenue.pattern, 'i')
    ) as is_revenue
    from charges
),
written as (
    select
        document_kind, document_id, rate, tax_inclusive, is_charge, is_revenue, line, line_no,
        coalesce(line.Quantity, 0) as quantity, coalesce(line.Price, 0) as price,
        coalesce(line.Discount, 0) as discount, coalesce(line.Tax, 0) as tax,
        case when abs(quantity) < 90000 and abs(price) < 90000 then quantity * price end as product
    from listed
),
priced as (
    select *,
        case
            -- what fits into 18 digits: rounding a number of 38 costs a hundred times as much
            when discount = 0 and product is not null then cast(product as decimal(18, 4))
            when discount between 0 and 100 and abs(product) < 9000
                then cast(product * cast(100 - discount as decimal(12, 4)) * 0.01 as decimal(18, 4))
            when abs(quantity) < 1000000000 and abs(discount) <= 1000
                then try_cast(
                    cast(quantity as decimal(28, 4)) * price * cast(100 - discount as decimal(12, 4)) * 0.01
                    as decimal(18, 4)
                )
        end as amount
    from written
),
-- A barcode in the wrong field must not stop everything: the limit leaves room for the sums of many such lines.
judged as (
    select *, coalesce(greatest(abs(amount), abs(tax)) * greatest(cast(rate as double), 1) < 100000000000, false)
        and amount is not null as is_possible
    from priced
),
counted as (
    select * replace (
        case when is_possible then quantity else 0 end as quantity,
        case when is_possible then amount else 0 end as amount,
        case when is_possible then tax else 0 end as tax
    )
    from judged
),
netted as (
    select *, cast(case when tax_inclusive then amount - tax else amount end as decimal(18, 4)) as net from counted
)
select
    document_kind,
    document_id,
    is_charge,
    line_no,
    lower(line.ProductID) as product_id,
    line.SKU as sku,
    line.Name as title,
    cast(quantity as decimal(18, 4)) as quantity,
    cast(amount as decimal(18, 4)) as amount,
    cast(tax as decimal(18, 4)) as tax,
    net,
    is_revenue or net < 0 as counts,
    case
        when not is_possible then 'an amount no document can have'
        when discount > 100 then 'a discount over 100 %'
        when not is_charge and quantity < 0 then 'a line with a negative quantity'
        when not is_charge and price < 0 then 'a line with a negative price'
    end as oddity,
    case when rate = 1 then net else cast(cast(net as decimal(28, 4)) * rate as decimal(18, 4)) end as net_base,
    case when rate = 1 then tax else cast(cast(tax as decimal(28, 4)) * rate as decimal(18, 4)) end as tax_base
from netted
