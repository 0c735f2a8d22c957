-- Holds of the circuit breaker on a product. Parameter: $product_id.
select hold_id, kind, was, wanted, reason, held_at, released_at, ended_at
from mart.held_flips
where product_id = $product_id
order by held_at desc
