-- grain: one row per product whose state is known
-- key: product_id
-- feedback: mart.availability
-- meaning: What we say about the stock of each product, and its last change.
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
with compared as (
    select
        states.*, old.changed_at, old.previous_state, old.previous_available, old.waterfall_before, old.waterfall_after,
        coalesce(old.state, states.prior_state) as state_before,
        coalesce(old.available, states.prior_available) as available_before,
        state_before is not null and (states.state <> state_before or states.available <> available_before) as changes
    from mart.stock_states as states
    left join mart.availability as old on old.product_id = states.product_id and old.sku = states.sku
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
    case when changes then tenant.as_of else compared.changed_at end as changed_at,
    case when changes then compared.state_before else compared.previous_state end as previous_state,
    case when changes then compared.available_before else compared.previous_available end as previous_available,
    case when changes then coalesce(earlier_waterfall.waterfall, current_waterfall.waterfall)
        else compared.waterfall_before end as waterfall_before,
    case when changes then current_waterfall.waterfall else compared.waterfall_after end as waterfall_after
from compared
cross join staging.tenant as tenant
left join current_waterfall on current_waterfall.product_id = compared.product_id
left join earlier_waterfall on earlier_waterfall.product_id = compared.product_id
