-- The rows of the newest trusted snapshot behind a product's waterfall. Parameter: $product_id.
select location_key as location, bin_key as bin, batch, expires_on, on_hand, allocated, bar
from staging.snapshot
where product_id = $product_id
order by bar is not null, location_key, bin_key nulls first, batch
