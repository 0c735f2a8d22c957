-- grain: one row per additional charge of a credit note
-- key: document_id, charge_no
-- meaning: Free-text amounts on a document: order-level discounts (negative), shipping and handling (positive).
-- @column document_id: The credit note.
-- @column charge_no: Place of the charge, from 1.
-- @column description: What it is for, as typed.
-- @column counts: An order-level discount, or revenue by the policy; the rest is outside lifetime value.
-- @column amount: Quantity × price less discount, as on the document, in its currency.
-- @column tax: Tax of the charge.
-- @column net: The same without tax.
-- @column net_base: Net in the currency of the books, at the document's own rate.
-- @column tax_base: Tax in the currency of the books.
with charges as (
    select
        document_id, rate, tax_inclusive, unnest(content.AdditionalCharges) as charge, generate_subscripts(content.AdditionalCharges, 1) as charge_no
    from staging.credit_notes
),
priced as (
    select
        document_id, rate, tax_inclusive, charge, charge_no,
        coalesce(case
            -- the plain case fits into 18 digits, which is ten times as fast as 38
            when coalesce(charge.Discount, 0) = 0 and abs(charge.Quantity) < 90000 and abs(charge.Price) < 90000
                then cast(charge.Quantity * charge.Price as decimal(18, 4))
            else cast(
                cast(charge.Quantity as decimal(28, 4)) * charge.Price
                * cast(100 - coalesce(charge.Discount, 0) as decimal(12, 4)) * 0.01
                as decimal(18, 4)
            )
        end, 0) as amount,
        coalesce(charge.Tax, 0) as tax
    from charges
),
netted as (
    select *, cast(case when tax_inclusive then amount - tax else amount end as decimal(18, 4)) as net from priced
)
select
    document_id,
    charge_no,
    charge.Description as description,
    net < 0 or exists (
        from policy.revenue_charges as revenue where regexp_matches(netted.charge.Description, revenue.pattern, 'i')
    ) as counts,
    cast(amount as decimal(18, 4)) as amount,
    tax,
    net,
    case when rate = 1 then net else cast(cast(net as decimal(28, 4)) * rate as decimal(18, 4)) end as net_base,
    case when rate = 1 then tax else cast(cast(tax as decimal(28, 4)) * rate as decimal(18, 4)) end as tax_base
from netted
