-- grain: one row per document that is in Cin7's books, in the mart, or told to Emarsys
-- key: document_kind, document_id
-- meaning: Each invoice and credit note three times: as Cin7's books have it, as it counts here, and as Emarsys was told.
-- books = counted + charges + left_out + unexplained; counted + tax = excluded + told; told = accepted + parked + refused +
-- open. Amounts in the currency of the books, without tax unless said; credit notes are negative.
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column number: Its number; null where only Emarsys has it.
-- @column order_number: Number of the order.
-- @column dated_on: Date of the document; null where it has none.
-- @column books: Its own total without tax, at its own rate; 0 where no rate is known, or no books could hold it.
-- @column charges: Of this, charges outside value (shipping, handling).
-- @column left_out: Of this, documents that count for nothing here, for the reason below.
-- @column unexplained: Of this, what its lines and charges do not add up to; a cent or two is rounding.
-- @column counted: What it adds to the mart.
-- @column reason: Why it differs on the way from the books to the mart: sale_voided, sale_not_listed, no exchange rate,
-- no date, or what is wrong with the document; null where nothing is.
-- @column excluded: Of what counts, left out of the sales data by a rule.
-- @column rule: That rule (no_lines: a discount or charge without a line to carry it); null where it goes.
-- @column tax: Tax on its lines, where the policy sends prices with tax.
-- @column told: Sum of its lines for Emarsys.
-- @column accepted: Of these, accepted.
-- @column parked: Of these, sent without a trustworthy answer.
-- @column refused: Of these, refused.
-- @column open: Of these, not sent yet; or, negative, accepted and to be taken back.
-- @column first_seen_at: When it was first read, by Cin7's clock (UTC); null for what the first reading brought.
with billed as (
    select 'invoice' as document_kind, invoices.document_id, invoices.number, invoices.dated_on, invoices.rate,
        invoices.total_before_tax, 1 as sign, invoices.sale_id
    from staging.invoices as invoices
    where invoices.is_counted
    union all
    select 'credit_note', document_id, number, dated_on, rate, total_before_tax, -1, sale_id
    from staging.credit_notes
    where is_counted
),
lines as (
    select document_kind, document_id, sum(price) as told
    from mart.sales_lines
    group by document_kind, document_id
),
latest as (
    select document, key, any_value(payload) as payload, arg_max(outcome, record_id) as last_outcome,
        count(*) filter (outcome = 'accepted') as times
    from delivery.records
    where flow = 'sales'
    group by document, key
),
fates as (
    select document, sum(price * times) as accepted, sum(price) filter (last_outcome = 'unknown') as parked,
        sum(price) filter (last_outcome = 'rejected') as refused, min(dated_on) as dated_on
    from (
        select document, times, last_outcome, cast(payload->>'price' as decimal(18, 4)) as price,
            try_cast(left(payload->>'timestamp', 10) as date) as dated_on
        from latest
    )
    group by document
),
seen as (
    select document_id, case fact when 'invoiced' then 'invoice' else 'credit_note' end as document_kind,
        min(recorded_at) as first_seen_at
    from mart.order_facts
    where fact in ('invoiced', 'credited') and not silent
    group by all
),
joined as (
    select
        coalesce(billed.document_kind, split_part(fates.document, ':', 1)) as document_kind,
        coalesce(billed.document_id, substr(fates.document, strpos(fates.document, ':') + 1)) as document_id,
        billed.number,
        coalesce(documents.order_number, sales.order_number) as order_number,
        coalesce(billed.dated_on, fates.dated_on) as dated_on,
        coalesce(try(cast(cast(case
            when billed.rate is null then 0
            else coalesce(billed.total_before_tax, documents.goods + documents.not_counted)
        end as decimal(28, 4)) * billed.rate * billed.sign as decimal(18, 4))), 0) as books,
        coalesce(cast(cast(documents.not_counted as decimal(28, 4)) * billed.rate * billed.sign as decimal(18, 4)), 0)
            as charges,
        coalesce(documents.net * billed.sign, 0) as counted,
        documents.document_id is not null as is_counted,
        case
            when billed.document_id is null then null
            when documents.document_id is null and sales.is_void then 'sale_voided'
            when documents.document_id is null then 'sale_not_listed'
            else documents.fault
        end as reason,
        coalesce(routes.excluded, case when lines.told is null and documents.net <> 0 then 'no_lines' end) as rule,
        coalesce(lines.told, 0) as told,
        coalesce(fates.accepted, 0) as accepted,
        coalesce(fates.parked, 0) as parked,
        coalesce(fates.refused, 0) as refused
    from billed
    left join staging.sales as sales on sales.sale_id = billed.sale_id
    left join mart.documents as documents
        on documents.document_kind = billed.document_kind and documents.document_id = billed.document_id
    left join mart.sales_documents as routes
        on routes.document_kind = billed.document_kind and routes.document_id = billed.document_id
    left join lines on lines.document_kind = billed.document_kind and lines.document_id = billed.document_id
    full join fates on fates.document = billed.document_kind || ':' || billed.document_id
)
select
    joined.document_kind,
    joined.document_id,
    joined.number,
    joined.order_number,
    joined.dated_on,
    joined.books,
    joined.charges,
    case when is_counted then 0 else books end as left_out,
    case when is_counted then books - counted - charges else 0 end as unexplained,
    joined.counted,
    joined.reason,
    case when rule is not null then counted else 0 end as excluded,
    joined.rule,
    case when rule is null then cast(told as decimal(18, 4)) - counted else 0 end as tax,
    cast(joined.told as decimal(18, 4)) as told,
    cast(joined.accepted as decimal(18, 4)) as accepted,
    cast(joined.parked as decimal(18, 4)) as parked,
    cast(joined.refused as decimal(18, 4)) as refused,
    cast(joined.told - joined.accepted - joined.parked - joined.refused as decimal(18, 4)) as open,
    seen.first_seen_at
from joined
left join seen on seen.document_kind = joined.document_kind and seen.document_id = joined.document_id
