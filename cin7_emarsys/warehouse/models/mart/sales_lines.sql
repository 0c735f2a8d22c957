-- grain: one row per line of a document that goes to Emarsys
-- key: document_kind, document_id, line_no
-- meaning: Sales data for Emarsys. Order-level discounts are spread over the lines by value (goods taken back in
-- exchange by what they are worth), to the last ten-thousandth, so that the lines of a document sum to exactly what it counts.
-- figure price: coalesce(sum(price), 0)
-- figure quantity: coalesce(sum(quantity), 0)
-- figure newest: max(timestamp)
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column line_no: Place of the line; equal lines are separate rows.
-- @column sale_id: The sale.
-- @column order: Number of the order; a stand-alone credit note goes under its own number.
-- @column item: Item id as in the catalogue.
-- @column price: Total of the line after discounts, in the currency of the account; negative for a refund.
-- @column quantity: Units; negative for a refund.
-- @column timestamp: Date of the document, as midnight UTC.
-- @column email: To whom they go.
-- @column customer_id: Customer account.
with documents as (
    select
        documents.document_kind, documents.document_id, documents.sale_id, documents.order_number, documents.dated_on,
        routes.email, documents.customer_id, settings.price_basis = 'gross' as with_tax,
        documents.charges_net + case when with_tax then documents.charges_tax else 0 end as charges,
        case documents.document_kind when 'invoice' then 1 else -1 end as sign
    from mart.documents as documents
    join mart.sales_documents as routes
        on routes.document_kind = documents.document_kind and routes.document_id = documents.document_id
        and routes.excluded is null
    cross join policy.settings as settings
),
lines as (
    select
        documents.*, lines.line_no, lines.product_id, lines.sku, lines.quantity,
        lines.net_base + case when documents.with_tax then lines.tax_base else 0 end as amount
    from documents
    join staging.document_lines as lines
        on lines.document_kind = documents.document_kind and lines.document_id = documents.document_id
        and not lines.is_charge
),
shared as (
    select
        *,
        cast(coalesce(
            cast(charges as double) * cast(abs(amount) as double)
            / nullif(cast(sum(abs(amount)) over document as double), 0), 0
        ) as decimal(18, 4)) as part,
        row_number() over (partition by document_kind, document_id order by abs(amount) desc, line_no) as size
    from lines
    where charges <> 0
    window document as (partition by document_kind, document_id)
),
spread as (
    select * exclude (part, size),
        part + case when size = 1 then charges - sum(part) over (partition by document_kind, document_id) else 0 end
            as part
    from shared
),
priced as (
    select *, amount as counted from lines where charges = 0
    union all by name
    select * exclude (part), amount + part as counted from spread
)
select
    priced.document_kind,
    priced.document_id,
    priced.line_no,
    priced.sale_id,
    coalesce(priced.order_number, priced.sale_id) as "order",
    case
        when products.sku is null or lower(trim(priced.sku)) <> lower(products.sku) then trim(priced.sku)
        else products.sku
    end as item,
    cast(priced.counted * priced.sign as decimal(18, 4)) as price,
    cast(priced.quantity * priced.sign as decimal(18, 4)) as quantity,
    cast(priced.dated_on as timestamp) as "timestamp",
    priced.email,
    priced.customer_id
from priced
left join staging.products as products on products.product_id = priced.product_id
