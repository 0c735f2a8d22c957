-- The newest batches sent to Emarsys. Parameter: $limit.
-- @column batch_id: The batch.
-- @column flow: Its flow.
-- @column closed_at: When its outcome was written down (UTC).
-- @column records: Records in it.
-- @column accepted: Of these, accepted.
-- @column rejected: Refused.
-- @column retryable: To be sent again.
-- @column unknown: Parked.
-- @column status: HTTP status of the answer; null where none came.
-- @column seconds: How long the call took.
select batch_id, flow, closed_at, records, accepted, rejected, retryable, unknown, status, round(seconds, 2) as seconds
from delivery.batches
order by batch_id desc
limit $limit
