-- One order by its number or the number of one of its documents. Parameter: $number.
-- @column sale_id: The sale.
-- @column order_number: Its number.
-- @column status: Status in Cin7.
-- @column order_status: Status of the order within it.
-- @column ordered_on: Its date.
-- @column updated_at: When it last changed in Cin7 (UTC).
-- @column customer_id: Customer account.
-- @column net: Counted value of its documents, refunds taken off, in the currency of the books.
-- @column documents: Its invoices and credit notes.
select
    sales.sale_id, sales.order_number, sales.status, sales.order_status, sales.ordered_on, sales.updated_at,
    any_value(documents.customer_id) as customer_id,
    coalesce(sum(case documents.document_kind when 'invoice' then documents.net else -documents.net end), 0) as net,
    coalesce(list(struct_pack(
        documents.document_kind, documents.number, documents.dated_on,
        net := case documents.document_kind when 'invoice' then documents.net else -documents.net end, documents.fault,
        excluded := routes.excluded
    ) order by documents.dated_on, documents.number) filter (documents.document_id is not null), []) as documents
from staging.sales as sales
left join mart.documents as documents on documents.sale_id = sales.sale_id
left join mart.sales_documents as routes
    on routes.document_kind = documents.document_kind and routes.document_id = documents.document_id
where upper(sales.order_number) = upper(trim($number)) or sales.sale_id = lower(trim($number))
    or sales.sale_id in (from mart.documents select sale_id where upper(number) = upper(trim($number)))
group by all
order by sales.order_number
limit 1
