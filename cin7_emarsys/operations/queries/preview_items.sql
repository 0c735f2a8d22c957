-- Items whose available-to-sell, state or price differs between the running policy and a changed one, flips first.
-- The two sides are databases of their own: side_running and side_changed.
with running as (
    select products.product_id, products.sku, products.title, prices.price, states.state, states.available,
        states.reason, falls
    from side_running.staging.products as products
    left join side_running.mart.ats as falls on falls.product_id = products.product_id and falls.valid_to is null
    left join side_running.mart.availability as states on states.product_id = products.product_id
    left join side_running.mart.prices as prices on prices.product_id = products.product_id
),
changed as (
    select products.product_id, prices.price, states.state, states.available, states.reason, falls
    from side_changed.staging.products as products
    left join side_changed.mart.ats as falls on falls.product_id = products.product_id and falls.valid_to is null
    left join side_changed.mart.availability as states on states.product_id = products.product_id
    left join side_changed.mart.prices as prices on prices.product_id = products.product_id
)
select
    running.sku, running.title, running.falls.ats as ats_was, changed.falls.ats as ats_would, running.state as state_was,
    changed.state as state_would, changed.reason, running.price as price_was, changed.price as price_would,
    case
        when running.available and not changed.available then 'fall'
        when changed.available and not running.available then 'rise'
        when not running.available and running.falls.ats <= 0 and changed.falls.ats > 0 then 'rise'
    end as flip,
    list_filter([
        {'term': 'kit_build', 'was': running.falls.kit_build, 'would': changed.falls.kit_build},
        {'term': 'non_sellable_location', 'was': running.falls.charged_non_sellable_location, 'would': changed.falls.charged_non_sellable_location},
        {'term': 'blocked_bin', 'was': running.falls.charged_blocked_bin, 'would': changed.falls.charged_blocked_bin},
        {'term': 'expired', 'was': running.falls.charged_expired, 'would': changed.falls.charged_expired},
        {'term': 'allocated', 'was': running.falls.charged_allocated, 'would': changed.falls.charged_allocated},
        {'term': 'open_unallocated', 'was': running.falls.charged_open_unallocated, 'would': changed.falls.charged_open_unallocated},
        {'term': 'reserved', 'was': running.falls.charged_reserved, 'would': changed.falls.charged_reserved},
        {'term': 'buffer', 'was': running.falls.charged_buffer, 'would': changed.falls.charged_buffer}
    ], lambda each: each.was is distinct from each.would) as terms
from running
join changed on changed.product_id = running.product_id
where running.falls.ats is distinct from changed.falls.ats
    or running.state is distinct from changed.state
    or running.price is distinct from changed.price
order by flip is null, flip desc, abs(coalesce(changed.falls.ats, 0) - coalesce(running.falls.ats, 0)) desc, running.sku
