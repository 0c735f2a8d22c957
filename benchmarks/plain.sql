-- A plain figure in the shape of mart.availability, as an export of it would say: available when above zero, every unit in
-- every location counted; no state is kept, nothing is confirmed or held. {figure}: OnHand, or Cin7's Available.
with counted as (
    select lower(ID) as product_id, cast(floor(greatest(sum({figure}), 0)) as bigint) as units
    from raw.availability
    group by 1
)
select
    products.product_id, products.sku,
    case when not products.is_active then 'discontinued'
        when not products.is_stock then 'not_tracked'
        when counted.units > 0 then 'in_stock'
        else 'out_of_stock' end as state,
    products.is_active and products.is_stock and products.is_sellable and prices.price is not null
        and coalesce(counted.units, 0) > 0 as available,
    case when available then counted.units else 0 end as c_stock,
    c_stock as c_low_stock
from staging.products as products
join mart.prices as prices on prices.product_id = products.product_id
left join counted on counted.product_id = products.product_id
