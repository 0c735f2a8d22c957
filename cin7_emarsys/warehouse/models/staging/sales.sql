-- grain: one row per sale
-- key: sale_id
-- meaning: Every sale of the headers, with what its detail adds; its status is the newer of the two.
-- @column sale_id: Cin7's id of the sale.
-- @column order_number: Number of the order.
-- @column status: Status of the sale, from header or detail, whichever is newer.
-- @column order_status: Status of its order, likewise.
-- @column fulfilment_status: Fulfilment as the header says.
-- @column is_void: Voided: counts for nothing.
-- @column is_ordered: The order is authorised, with or without allocation, or beyond.
-- @column type: Simple, Advanced or Service Sale.
-- @column ordered_on: Date of the order.
-- @column customer_id: Customer account.
-- @column customer_name: Name of the account on the sale.
-- @column contact_name: Name of the contact on the sale.
-- @column email: E-mail on the sale, normalised; null where none, or nothing that can be one, is given.
-- @column location_key: Location the sale ships from, lower case; null where unknown.
-- @column price_tier: Price tier of the sale.
-- @column source_channel: Where the order came from.
-- @column currency: Currency of its documents.
-- @column base_currency: Currency of the account's books.
-- @column currency_rate: Base units for one unit of its currency.
-- @column tax_inclusive: Line prices contain tax.
-- @column updated_at: Last change by header or detail (UTC).
-- @column has_detail: Its lines and documents have been read.
-- @column detail_is_current: The detail was read for the newest header, not for an older one.
-- @column is_listed: Listed in the headers (a stand-alone credit note read like a sale is not).
-- @column in_first_scan: Listed in the first reading of headers, so it is history.
-- @column is_erased: Of a person that was erased: it counts, for nobody.
with paired as (
    select
        headers, details,
        lower(coalesce(headers.SaleID, details.ID)) as sale_id,
        details.ID is null or coalesce(headers.Updated > details._header_updated, false) as header_is_newer
    from raw.sale_headers as headers
    full join raw.sales as details on details.ID = headers.SaleID
),
picked as (
    select
        *,
        case when header_is_newer then headers.Status else coalesce(details.Status, headers.Status) end as status,
        case
            when header_is_newer then headers.OrderStatus
            else coalesce(details."Order".Status, headers.OrderStatus)
        end as order_status
    from paired
),
-- A bin can be named within the location, as "Location: Bin"; a location can have ": " in its own name.
places as (
    select named.Location, max_by(locations.location_key, length(locations.location_key)) as location_key
    from (select distinct Location from raw.sales) as named
    join staging.locations as locations
        on starts_with(lower(trim(named.Location)) || ': ', locations.location_key || ': ')
    group by named.Location
)
select
    sale_id,
    coalesce(headers.OrderNumber, details."Order".SaleOrderNumber) as order_number,
    picked.status,
    picked.order_status,
    headers.FulFilmentStatus as fulfilment_status,
    coalesce(picked.status = 'VOIDED', false) as is_void,
    coalesce(picked.order_status in ('AUTHORISED', 'AUTH_NO_ALLOC', 'FULFILLED', 'CLOSED'), false) as is_ordered,
    coalesce(details.Type, headers.Type) as type,
    coalesce(details.SaleOrderDate, headers.OrderDate) as ordered_on,
    lower(coalesce(details.CustomerID, headers.CustomerID)) as customer_id,
    coalesce(details.Customer, headers.Customer) as customer_name,
    details.Contact as contact_name,
    case
        when regexp_matches(trim(details.Email), '^[^@\s,;:<>()"]+@[^@\s,;:<>()"]+\.[^@\s,;:<>().&"]{2,}$') then lower(trim(details.Email))
    end as email,
    coalesce(places.location_key, locations.location_key, lower(trim(split_part(details.Location, ': ', 1))))
        as location_key,
    details.PriceTier as price_tier,
    coalesce(details.SourceChannel, headers.SourceChannel) as source_channel,
    coalesce(details.CustomerCurrency, headers.CustomerCurrency) as currency,
    coalesce(details.BaseCurrency, headers.BaseCurrency) as base_currency,
    cast(nullif(details.CurrencyRate, 0) as decimal(24, 14)) as currency_rate,
    coalesce(lower(details.TaxCalculation) = 'inclusive', false) as tax_inclusive,
    greatest(headers.Updated, details._header_updated) as updated_at,
    details.ID is not null as has_detail,
    not header_is_newer as detail_is_current,
    headers.SaleID is not null as is_listed,
    coalesce(headers._in_first_scan, false) as in_first_scan,
    case when details.ID is null then coalesce(headers._erased, false) else coalesce(details._erased, false) end as is_erased
from picked
left join places on places.Location = details.Location
left join staging.locations as locations on locations.location_id = lower(headers.OrderLocationID)
