-- grain: one row per invoice or credit note that counts
-- key: document_kind, document_id
-- meaning: Documents with their counted value, worked out from their lines and checked against their own totals.
-- figure invoiced: coalesce(sum(net) filter (document_kind = 'invoice'), 0)
-- figure credited: coalesce(sum(net) filter (document_kind = 'credit_note'), 0)
-- figure faulty: count(fault)
-- figure newest: max(dated_on)
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column sale_id: Its sale.
-- @column is_standalone: A credit note that belongs to no sale.
-- @column number: Number of the document.
-- @column order_number: Number of the order; for a stand-alone note its own number.
-- @column person_id: Whose it is.
-- @column email: E-mail of that person.
-- @column customer_id: Customer account.
-- @column is_erased: The person was erased: it counts, for nobody.
-- @column dated_on: Date of the document.
-- @column currency: Its currency.
-- @column rate: Base units for one unit of its currency; null where missing.
-- @column lines: Number of lines.
-- @column entries: Number of lines and charges, each of which may have been rounded.
-- @column items: Units on its lines.
-- @column goods: Counted value in its currency: lines without tax, order-level discounts, revenue charges.
-- @column net: Counted value in the currency of the books.
-- @column charges_net: Of this, discounts and revenue charges.
-- @column charges_tax: Tax of those charges.
-- @column not_counted: Charges left out (shipping, handling), in its currency.
-- @column computed_total: Lines and all charges as on the document; less their tax where they contain it and match its total.
-- @column stated_total: What the document says itself.
-- @column fault: What is wrong with it; null where nothing is.
with documents as (
    select 'invoice' as document_kind, document_id, invoices.sale_id, false as is_standalone, number, dated_on,
        invoices.currency, rate, invoices.tax_inclusive, total_before_tax, total
    from staging.invoices as invoices
    join staging.sales as sales on sales.sale_id = invoices.sale_id and not sales.is_void and sales.is_listed
    where invoices.is_counted
    union all
    select 'credit_note', document_id, sale_id, is_standalone, number, dated_on, currency, rate, tax_inclusive,
        total_before_tax, total
    from staging.credit_notes
    where is_counted
),
lines as (
    select document_kind, document_id, count(*) as entries, count(*) filter (not is_charge) as lines,
        sum(quantity) filter (not is_charge) as items, sum(amount) as amount,
        sum(net) as untaxed, sum(net) filter (counts) as goods, sum(net_base) filter (counts) as net,
        sum(net_base) filter (is_charge and counts) as charges_net,
        sum(tax_base) filter (is_charge and counts) as charges_tax, sum(net) filter (not counts) as left_out,
        min(oddity) as oddity
    from staging.document_lines
    group by document_kind, document_id
),
added as (
    select
        documents.*,
        coalesce(lines.lines, 0) as lines,
        coalesce(lines.entries, 0) as entries,
        coalesce(lines.items, 0) as items,
        coalesce(lines.goods, 0) as goods,
        coalesce(lines.net, 0) as net,
        coalesce(lines.charges_net, 0) as charges_net,
        coalesce(lines.charges_tax, 0) as charges_tax,
        coalesce(lines.left_out, 0) as not_counted,
        coalesce(lines.amount, 0) as written,
        coalesce(lines.untaxed, 0) as untaxed,
        0.005 * coalesce(lines.entries, 0) + 0.01 as slack,
        -- prices with tax have to match both totals: the tax on the lines is taken off what counts
        tax_inclusive and (total_before_tax is null or abs(written - total) > slack) as with_tax,
        lines.oddity
    from documents
    left join lines
        on lines.document_kind = documents.document_kind and lines.document_id = documents.document_id
)
select
    added.document_kind,
    added.document_id,
    added.sale_id,
    added.is_standalone,
    added.number,
    coalesce(persons.order_number, added.number) as order_number,
    persons.person_id,
    persons.email,
    persons.customer_id,
    coalesce(persons.rule = 'erased', false) as is_erased,
    added.dated_on,
    added.currency,
    added.rate,
    added.lines,
    added.entries,
    cast(added.items as decimal(18, 4)) as items,
    cast(added.goods as decimal(18, 4)) as goods,
    cast(added.net as decimal(18, 4)) as net,
    cast(added.charges_net as decimal(18, 4)) as charges_net,
    cast(added.charges_tax as decimal(18, 4)) as charges_tax,
    cast(added.not_counted as decimal(18, 4)) as not_counted,
    cast(case when added.with_tax then added.written else added.untaxed end as decimal(18, 4)) as computed_total,
    case when added.with_tax then added.total else added.total_before_tax end as stated_total,
    case
        when added.rate is null then 'no exchange rate for ' || added.currency
        when added.dated_on is null then 'no date'
        when abs(computed_total - stated_total) > added.slack
            then 'lines and charges do not add up to its total'
        when added.oddity is not null then added.oddity
        when added.lines = 0 and added.charges_net <> 0 then 'a discount or charge without a line to carry it'
    end as fault
from added
left join mart.sale_persons as persons on persons.sale_id = added.sale_id
