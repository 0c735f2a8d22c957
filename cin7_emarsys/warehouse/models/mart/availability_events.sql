-- grain: one row per change of a product's stock state
-- key: product_id, sku, changed_at
-- materialize: append
-- meaning: Every change of availability ever made, with the waterfall before and after it.
-- @column product_id: The product.
-- @column sku: Its SKU then.
-- @column changed_at: When (UTC, Cin7's clock).
-- @column from_state: State before.
-- @column to_state: State after.
-- @column from_available: Available before.
-- @column to_available: Available after.
-- @column snapshot_id: Snapshot the figures came from.
-- @column reason: Why the state was not what the figures alone said; null where it was.
-- @column waterfall_before: Every term before.
-- @column waterfall_after: Every term after.
select product_id, sku, changed_at, previous_state as from_state, state as to_state,
    previous_available as from_available, available as to_available, snapshot_id, reason, waterfall_before,
    waterfall_after
from mart.availability
where changed_at is not null
