-- How many items each filter of the availability page finds. One row.
select
    count(*) as "all",
    count(*) filter (waterfall.on_hand > 0 and states.state = 'out_of_stock') as mis_mailed,
    count(*) filter (waterfall.shortfall + waterfall.requested_allocated - waterfall.charged_allocated
        + waterfall.requested_open_unallocated - waterfall.charged_open_unallocated > 0) as negative,
    count(*) filter (products.is_kit) as kits,
    count(*) filter (coalesce(had.c_stock, told.c_stock) is distinct from states.c_stock) as differs,
    count(*) filter (states.reason is not null) as held
from mart.availability as states
join staging.products as products on products.product_id = states.product_id
left join mart.ats as waterfall on waterfall.product_id = states.product_id and waterfall.valid_to is null
left join delivery.catalogue_items as told on told.item = states.sku
left join delivery.catalogue_collected as had on had.item = states.sku
