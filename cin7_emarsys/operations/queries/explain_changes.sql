-- Every change of a product's state, newest first. Parameter: $product_id.
select changed_at, from_state, to_state, from_available, to_available, snapshot_id, reason
from mart.availability_events
where product_id = $product_id
order by changed_at desc
