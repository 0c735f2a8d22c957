-- The best single hand-written query for lifetime value: from the rows as read to one figure a person, with the rules that
-- change it (voided sales and invoices, discounts, charges, tax in prices, each document's own rate, whose a sale is), without
-- lines, documents, statements, kinds of orders or any other attribute. No aliases, no stand-alone credit notes, no sale
-- whose header is newer than its detail.
create or replace table baseline as
with accounts as (
    select ID as customer_id, lower(trim(list_filter(Contacts, lambda c: c."Default")[1].Email)) as email from raw.customers
),
sales as (
    select
        coalesce(lower(trim(nullif(sales.Email, ''))), accounts.email, 'customer:' || lower(sales.CustomerID)) as person_id,
        TaxCalculation = 'Inclusive' as inclusive, CurrencyRate as rate,
        list_concat(
            [{'rate': i.CurrencyConversionRate, 'sign': 1, 'parts': i.Lines, 'charges': i.AdditionalCharges}
                for i in Invoices if i.Status in ('AUTHORISED', 'PAID')],
            [{'rate': c.CreditNoteConversionRate, 'sign': -1, 'parts': c.Lines, 'charges': c.AdditionalCharges}
                for c in CreditNotes if c.Status = 'AUTHORISED']
        ) as documents
    from raw.sales as sales
    left join accounts on accounts.customer_id = sales.CustomerID
    where sales.Status <> 'VOIDED'
),
documents as (select person_id, inclusive, rate as sale_rate, unnest(documents, max_depth := 2) from sales),
lines as (
    select person_id, inclusive, coalesce(nullif(rate, 0), sale_rate) as rate, sign, unnest(parts, max_depth := 2)
    from documents
    union all by name
    select person_id, inclusive, coalesce(nullif(rate, 0), sale_rate) as rate, sign, unnest(charges, max_depth := 2)
    from (select * from documents where len(charges) > 0)
),
amounts as (
    select person_id, rate, sign, Description,
        cast(
            case when coalesce(Discount, 0) = 0 then cast(Quantity * Price as decimal(18, 4))
                else cast(cast(Quantity as decimal(28, 4)) * Price * cast(100 - Discount as decimal(12, 4)) * 0.01 as decimal(18, 4))
            end - case when inclusive then Tax else 0 end as decimal(18, 4)
        ) as net
    from lines
)
select person_id,
    sum(sign * case when rate = 1 then net else cast(cast(net as decimal(28, 4)) * rate as decimal(18, 4)) end) as ltv
from amounts
where Description is null or net < 0
group by person_id
