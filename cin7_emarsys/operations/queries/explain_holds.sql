-- Holds of the circuit breaker on an item up to a moment, as they stood then. Parameters: $sku, $at (UTC; null: now).
select hold_id, kind, was, wanted, reason, held_at,
    case when $at is null or released_at <= $at then released_at end as released_at,
    case when $at is null or ended_at <= $at then ended_at end as ended_at
from mart.held_flips
where item = $sku and ($at is null or held_at <= $at)
order by held_at desc
