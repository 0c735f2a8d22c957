-- grain: one row per fulfilment of a sale
-- key: sale_id, fulfilment_no
-- meaning: Parcels: what has been picked and shipped, with carrier and tracking.
-- @column sale_id: The sale.
-- @column fulfilment_no: Number of the fulfilment within the sale (its place where Cin7 gives none).
-- @column pick_status: Status of picking.
-- @column ship_status: Status of shipping.
-- @column is_taken: Picked or shipped, so its units no longer wait.
-- @column is_shipped: Shipping is authorised.
-- @column carrier: Carrier of the first parcel.
-- @column tracking_number: Tracking number of the first parcel that has one.
-- @column tracking_url: Where that parcel can be followed.
-- @column lines: Picked units as Cin7 lists them, each with whether it itself is taken and shipped: several can have one number.
with listed as (
    select lower(ID) as sale_id, unnest(Fulfilments) as fulfilment, generate_subscripts(Fulfilments, 1) as place
    from raw.sales
),
judged as (
    select
        *,
        coalesce(fulfilment.FulfillmentNumber, place) as fulfilment_no,
        coalesce(fulfilment.Pick.Status = 'AUTHORISED' or fulfilment.Ship.Status = 'AUTHORISED', false) as is_taken,
        coalesce(fulfilment.Ship.Status = 'AUTHORISED', false) as is_shipped
    from listed
)
select
    sale_id,
    fulfilment_no,
    any_value(fulfilment.Pick.Status) as pick_status,
    any_value(fulfilment.Ship.Status) as ship_status,
    bool_or(is_taken) as is_taken,
    bool_or(is_shipped) as is_shipped,
    any_value(fulfilment.Ship.Lines[1].Carrier) as carrier,
    any_value([line.TrackingNumber for line in fulfilment.Ship.Lines if line.TrackingNumber is not null][1])
        as tracking_number,
    any_value([line.TrackingURL for line in fulfilment.Ship.Lines if line.TrackingURL is not null][1])
        as tracking_url,
    flatten(list([
        {'picked': line, 'is_taken': is_taken, 'is_shipped': is_shipped} for line in coalesce(fulfilment.Pick.Lines, [])
    ] order by place)) as lines
from judged
group by sale_id, fulfilment_no
