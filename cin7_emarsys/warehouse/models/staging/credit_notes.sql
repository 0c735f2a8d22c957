-- grain: one row per credit note, whichever endpoint gave it
-- key: document_id
-- meaning: Credit notes of sales and stand-alone ones, each once, from its newest reading. What the newest detail of a sale
-- no longer lists is gone, though its own endpoint gave it before.
-- @column document_id: The note's task id in Cin7 (its number where it has none).
-- @column sale_id: The sale it stands under; for a stand-alone note an id of its own.
-- @column is_standalone: Belongs to no sale of the headers.
-- @column number: Number of the note.
-- @column status: Status of the note.
-- @column is_counted: Authorised, and its sale is not voided.
-- @column dated_on: Date of the note.
-- @column currency: Currency of the document.
-- @column rate: Base units for one unit of its currency; null where one is needed and missing.
-- @column tax_inclusive: Line prices contain tax.
-- @column total_before_tax: Its own total without tax.
-- @column total: Its own total with tax.
-- @column content: The note as read, with its lines and charges.
with listed as (
    select lower(ID) as sale_id, unnest(CreditNotes) as note, _header_updated as read_at, 1 as preference,
        CurrencyRate, CustomerCurrency, BaseCurrency, lower(TaxCalculation) = 'inclusive' as tax_inclusive
    from raw.sales
    union all
    select lower(notes.SaleID), unnest(notes.CreditNotes), notes._header_updated, 2, notes.CurrencyRate,
        notes.CustomerCurrency, notes.BaseCurrency, lower(notes.TaxCalculation) = 'inclusive'
    from raw.credit_notes as notes
    where not exists (
        from raw.sales as sales
        join raw.sale_headers as headers on headers.SaleID = sales.ID
        where sales.ID = notes.SaleID and coalesce(sales._header_updated >= notes._header_updated, true)
    )
),
keyed as (
    select
        *,
        trim(note.CreditNoteNumber) as number,
        coalesce(
            lower(note.TaskID),
            case
                when trim(note.CreditNoteNumber) <> ''
                    then max(lower(note.TaskID)) over (partition by sale_id, trim(note.CreditNoteNumber))
            end,
            trim(note.CreditNoteNumber)
        ) as document_id
    from listed
),
once as (
    select
        *,
        list_sum([
            cast(x.Quantity as double) * cast(x.Price as double) * (100 - coalesce(x.Discount, 0)) / 100
            for x in coalesce(note.Lines, [])
        ]) + coalesce(list_sum([
            cast(x.Quantity as double) * cast(x.Price as double) * (100 - coalesce(x.Discount, 0)) / 100
            for x in note.AdditionalCharges
        ]), 0) as written
    from keyed
    where document_id is not null
    qualify row_number() over (
        partition by document_id order by read_at desc nulls last, preference, note.Status
    ) = 1
),
headers as (
    select lower(SaleID) as sale_id, any_value(CustomerCurrency) as currency, any_value(BaseCurrency) as base_currency,
        max(Updated) as updated_at, bool_or(CreditNoteStatus = 'VOIDED' or Status = 'VOIDED') as is_void
    from raw.credit_note_headers
    group by lower(SaleID)
),
placed as (
    select
        once.*,
        sales.sale_id is null as is_standalone,
        coalesce(once.CustomerCurrency, sales.currency, headers.currency) as currency,
        coalesce(once.BaseCurrency, sales.base_currency, headers.base_currency) as base_currency,
        coalesce(once.CurrencyRate, sales.currency_rate) as sale_rate,
        -- read by itself a note does not say how its prices are meant; then its own totals do
        coalesce(
            once.tax_inclusive, sales.tax_inclusive,
            abs(once.written - once.note.Total) < abs(once.written - once.note.TotalBeforeTax), false
        ) as inclusive,
        coalesce(sales.is_void, headers.is_void and headers.updated_at > once.read_at, false) as is_void
    from once
    left join staging.sales as sales on sales.sale_id = once.sale_id and sales.is_listed
    left join headers on headers.sale_id = once.sale_id
)
select
    document_id,
    sale_id,
    is_standalone,
    number,
    note.Status as status,
    coalesce(note.Status = 'AUTHORISED', false) and not is_void as is_counted,
    note.CreditNoteDate as dated_on,
    currency,
    cast(
        case
            when nullif(note.CreditNoteConversionRate, 0) is not null then note.CreditNoteConversionRate
            when nullif(sale_rate, 0) is not null then sale_rate
            when currency is distinct from base_currency and currency is not null and base_currency is not null then null
            else 1
        end
        as decimal(24, 14)
    ) as rate,
    inclusive as tax_inclusive,
    note.TotalBeforeTax as total_before_tax,
    note.Total as total,
    note as content
from placed
