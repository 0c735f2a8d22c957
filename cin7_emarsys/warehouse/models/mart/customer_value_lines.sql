-- grain: one row per document of a person, and one per open order
-- key: document_kind, document_id
-- meaning: The statement behind a lifetime value: every document that adds up to it, with its sign.
-- figure amount: coalesce(sum(amount), 0)
-- figure newest: max(dated_on)
-- @column person_id: The person.
-- @column document_kind: invoice, credit_note or open_order.
-- @column document_id: The document.
-- @column sale_id: Its sale.
-- @column number: Number of the document.
-- @column order_number: Number of the order.
-- @column dated_on: Date of the document.
-- @column currency: Currency of the document.
-- @column document_amount: Counted value in that currency; negative for a refund.
-- @column rate: Base units for one unit of its currency.
-- @column amount: What it adds to the lifetime value, in the currency of the books.
-- @column fx_difference: Of a refund: what it differs by because its rate is not that of the sale's invoices.
-- @column note: purchase, fully_refunded, over_refunded, no_value, refund, standalone_refund or open_order.
-- @column fault: What is wrong with the document; null where nothing is.
select
    documents.person_id,
    documents.document_kind,
    documents.document_id,
    documents.sale_id,
    documents.number,
    documents.order_number,
    documents.dated_on,
    documents.currency,
    case documents.document_kind when 'invoice' then documents.goods else -documents.goods end as document_amount,
    documents.rate,
    case documents.document_kind when 'invoice' then documents.net else -documents.net end as amount,
    case
        when documents.document_kind = 'credit_note' and purchases.goods <> 0
            then try_cast(
                cast(documents.goods as double) * cast(purchases.gross as double) / cast(purchases.goods as double)
                - cast(documents.net as double) as decimal(18, 4)
            )
        else cast(0 as decimal(18, 4))
    end as fx_difference,
    case
        when documents.document_kind = 'invoice' then purchases.kind
        when documents.is_standalone then 'standalone_refund'
        else 'refund'
    end as note,
    documents.fault
from mart.documents as documents
left join mart.purchases as purchases on purchases.sale_id = documents.sale_id
where documents.person_id is not null
union all
select person_id, 'open_order', sale_id, sale_id, null, order_number, ordered_on, null, 0, null, 0, 0, 'open_order', null
from mart.open_orders
where person_id is not null
