-- Every item with its units on each side, as the availability page and its counts read it; made once for each copy (temp.items).
-- @column is_mis_mailed: Units on hand, and none that can be promised.
-- @column is_negative: More is promised than there is.
select
    states.product_id, states.sku, states.state, states.available, states.c_stock, states.reason,
    products.title, coalesce(waterfall.on_hand, 0) as on_hand,
    waterfall.shortfall + waterfall.requested_allocated - waterfall.charged_allocated
        + waterfall.requested_open_unallocated - waterfall.charged_open_unallocated > 0 as is_negative,
    waterfall.on_hand > 0 and states.state = 'out_of_stock' as is_mis_mailed,
    products.is_kit, told.c_stock as published, had.c_stock as at_emarsys
from mart.availability as states
join staging.products as products on products.product_id = states.product_id
left join mart.ats as waterfall on waterfall.product_id = states.product_id and waterfall.valid_to is null
left join delivery.catalogue_items as told on told.item = states.sku
left join delivery.catalogue_collected as had on had.item = states.sku
order by states.sku
