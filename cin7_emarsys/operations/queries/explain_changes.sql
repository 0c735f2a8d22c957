-- Every change of a product's state up to a moment, newest first. Parameters: $product_id, $sku, $at (UTC; null: now).
select changed_at, from_state, to_state, from_available, to_available, snapshot_id, reason
from mart.availability_events
where product_id = $product_id and sku = $sku and ($at is null or changed_at <= $at)
order by changed_at desc
