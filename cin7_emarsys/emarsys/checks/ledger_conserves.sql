-- title: Batches in which sent is not accepted + rejected + retryable + unknown: {rows}
-- assets: delivery.batches
-- key: batch_id
-- owner: data
-- means: It cannot be said what Emarsys got, so nothing more should be sent by hand.
-- due_hours: 4
-- next_step: A fault of this program: do not send again by hand; report these batches.
select batches.batch_id, batches.flow, batches.records as sent, count(records.outcome) as with_outcome
from delivery.batches as batches
left join delivery.records as records on records.batch_id = batches.batch_id
group by all
having batches.records <> count(records.outcome)
    or batches.records <> batches.accepted + batches.rejected + batches.retryable + batches.unknown
