-- grain: one row per invoice of a sale, voided ones included
-- key: document_id
-- meaning: Invoices as the newest detail of each sale lists them.
-- @column document_id: The invoice's task id in Cin7 (its number where it has none); numbers change, this stays.
-- @column sale_id: The sale.
-- @column place: Place among the sale's invoices, from 1.
-- @column number: Number of the invoice.
-- @column status: Status of the invoice.
-- @column is_counted: Authorised or paid.
-- @column dated_on: Date of the invoice.
-- @column currency: Currency of the document.
-- @column rate: Base units for one unit of its currency, its own rate before the sale's; null where one is needed and
-- missing.
-- @column tax_inclusive: Line prices contain tax.
-- @column total_before_tax: Its own total without tax.
-- @column total: Its own total with tax.
with listed as (
    select
        lower(ID) as sale_id, unnest(Invoices) as invoice, generate_subscripts(Invoices, 1) as place,
        CurrencyRate, CustomerCurrency, BaseCurrency, TaxCalculation
    from raw.sales
),
keyed as (
    select
        *,
        coalesce(invoice.Status in ('AUTHORISED', 'PAID'), false) as is_counted,
        coalesce(lower(invoice.TaskID), trim(invoice.InvoiceNumber), sale_id || ':' || place) as base_id
    from listed
),
numbered as (
    select *, row_number() over (partition by base_id order by is_counted desc, sale_id, place) as twin from keyed
)
select
    case when twin = 1 then base_id else base_id || '#' || twin end as document_id,
    sale_id,
    place,
    trim(invoice.InvoiceNumber) as number,
    invoice.Status as status,
    is_counted,
    invoice.InvoiceDate as dated_on,
    CustomerCurrency as currency,
    cast(
        case
            when nullif(invoice.CurrencyConversionRate, 0) is not null then invoice.CurrencyConversionRate
            when nullif(CurrencyRate, 0) is not null then CurrencyRate
            when CustomerCurrency is distinct from BaseCurrency and CustomerCurrency is not null and BaseCurrency is not null then null
            else 1
        end
        as decimal(24, 14)
    ) as rate,
    coalesce(lower(TaxCalculation) = 'inclusive', false) as tax_inclusive,
    invoice.TotalBeforeTax as total_before_tax,
    invoice.Total as total
from numbered
