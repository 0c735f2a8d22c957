-- grain: one row per product whose state is known
-- key: product_id
-- feedback: mart.availability
-- meaning: What we say about the stock of each product, after holds, and its last change.
-- @column product_id: The product.
-- @column sku: Its SKU.
-- @column state: in_stock, low_stock, out_of_stock, not_tracked or discontinued.
-- @column available: Can be sold now.
-- @column c_stock: Units we publish.
-- @column c_low_stock: Units we publish for the low-stock programme.
-- @column ats: Units available to sell, as computed.
-- @column snapshot_id: Snapshot the figures come from.
-- @column taken_at: When it was begun (UTC).
-- @column reason: Why the state is not what the figures alone say; null where it is.
-- @column changed_at: When state or available last changed (UTC, Cin7's clock); null since first sight.
-- @column previous_state: State before that change.
-- @column previous_available: Available before that change.
-- @column waterfall_before: The waterfall before that change.
-- @column waterfall_after: The waterfall at that change.
with held as (
    select item, any_value(hold_id) as hold_id, any_value(reason) as reason
    from mart.held_flips
    where kind = 'rise' and released_at is null and ended_at is null
    group by item
),
settled as (
    select
        states.product_id, states.sku,
        case when held.item is null then states.state else coalesce(known.c_stock_state, 'out_of_stock') end as state,
        states.available and held.item is null as available,
        case when held.item is null then states.c_stock else coalesce(known.c_stock, 0) end as c_stock,
        case when held.item is null then states.c_low_stock else coalesce(known.c_low_stock, 999999) end
            as c_low_stock,
        states.ats, states.snapshot_id, states.taken_at,
        case when held.item is null then states.reason else 'held ' || held.hold_id || ': ' || held.reason end
            as reason,
        states.prior_state, states.prior_available
    from mart.stock_states as states
    left join held on held.item = states.sku
    left join mart.published as known on known.item = states.sku
),
compared as (
    select settled.*, prior_state is not null and (state <> prior_state or available <> prior_available) as changes
    from settled
),
current_waterfall as (
    select compared.product_id, to_json(terms) as waterfall, terms.valid_from
    from compared
    join mart.ats as terms on terms.product_id = compared.product_id and terms.valid_to is null
    where compared.changes
),
earlier_waterfall as (
    select terms.product_id, to_json(terms) as waterfall
    from current_waterfall
    join mart.ats as terms
        on terms.product_id = current_waterfall.product_id and terms.valid_to = current_waterfall.valid_from
)
select
    compared.product_id,
    compared.sku,
    compared.state,
    compared.available,
    compared.c_stock,
    compared.c_low_stock,
    compared.ats,
    compared.snapshot_id,
    compared.taken_at,
    compared.reason,
    case when changes then tenant.as_of else old.changed_at end as changed_at,
    case when changes then compared.prior_state else old.previous_state end as previous_state,
    case when changes then compared.prior_available else old.previous_available end as previous_available,
    case when changes then coalesce(earlier_waterfall.waterfall, current_waterfall.waterfall)
        else old.waterfall_before end as waterfall_before,
    case when changes then current_waterfall.waterfall else old.waterfall_after end as waterfall_after
from compared
cross join staging.tenant as tenant
left join mart.availability as old on old.product_id = compared.product_id and old.sku = compared.sku
left join current_waterfall on current_waterfall.product_id = compared.product_id
left join earlier_waterfall on earlier_waterfall.product_id = compared.product_id
