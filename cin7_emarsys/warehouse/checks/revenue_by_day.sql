-- title: Days whose documents do not sum to what the list of sales says: {rows}
-- assets: mart.documents
-- severity: warn
-- key: day, currency
-- owner: finance
-- means: The turnover that marketing works with is not the turnover of Cin7 on these days.
-- next_step: Compare that day's invoices and credit notes in Cin7; a document may be missing from the detail of its sale. `sync orders --full` reads the list anew.
with documents as (
    select sale_id, total from staging.invoices where is_counted
    union all
    select sale_id, -total from staging.credit_notes where is_counted and not is_standalone
),
billed as (select sale_id, sum(total) as total, count(*) as documents from documents group by sale_id)
select
    sales.ordered_on as day, sales.currency, sum(headers.InvoiceAmount) as listed,
    sum(coalesce(billed.total, 0)) as documents, count(*) as sales
from staging.sales as sales
join raw.sale_headers as headers on headers.SaleID = sales.sale_id
left join billed on billed.sale_id = sales.sale_id
where sales.has_detail and sales.detail_is_current and not sales.is_void and headers.InvoiceAmount is not null
group by all
having abs(listed - documents) > 0.01 * count(*)
order by day desc
