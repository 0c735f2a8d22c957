-- grain: one row per payment of an invoice, or per refund paid out on a credit note
-- key: document_kind, document_id, payment_no
-- meaning: Money that changed hands. Lifetime value follows documents, not payments; the statement shows both.
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column payment_no: Place among the document's payments, from 1.
-- @column payment_id: Cin7's id of the payment.
-- @column reference: Reference as typed.
-- @column paid_on: Day of the payment.
-- @column amount: Amount in the currency of the document, tax included; positive on credit notes too.
-- @column rate: Base units for one unit of that currency; null where missing.
with invoiced as (
    select lower(ID) as sale_id, unnest(Invoices) as document, generate_subscripts(Invoices, 1) as place from raw.sales
),
documents as (
    select 'invoice' as document_kind, invoices.document_id, document.Payments as payments
    from invoiced
    join staging.invoices as invoices using (sale_id, place)
    union all
    select 'credit_note', document_id, content.Refunds from staging.credit_notes
),
listed as (
    select document_kind, document_id, unnest(payments) as payment, generate_subscripts(payments, 1) as payment_no
    from documents
)
select
    document_kind,
    document_id,
    payment_no,
    lower(payment.ID) as payment_id,
    payment.Reference as reference,
    payment.DatePaid as paid_on,
    coalesce(payment.Amount, 0) as amount,
    nullif(payment.CurrencyRate, 0) as rate
from listed
