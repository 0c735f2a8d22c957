-- What was said about one product at a moment: the newest change up to then, else the state since first sight.
-- Parameters: $product_id, $at (UTC).
with changes as (
    select changed_at, to_state as state, to_available as available, reason
    from mart.availability_events
    where product_id = $product_id and changed_at <= $at
),
later as (
    select from_state as state, from_available as available, cast(null as varchar) as reason
    from mart.availability_events
    where product_id = $product_id and changed_at > $at
    order by changed_at
    limit 1
),
now_known as (select state, available, reason from mart.availability where product_id = $product_id)
select state, available, reason, changed_at
from (
    (select state, available, reason, changed_at, 1 as rank from changes order by changed_at desc limit 1)
    union all
    select state, available, reason, null, 2 from later
    union all
    select state, available, reason, null, 3 from now_known
)
order by rank
limit 1
