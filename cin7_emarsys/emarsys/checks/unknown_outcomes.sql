-- title: Batches of sales lines or events of which nobody knows whether Emarsys applied them: {rows}
-- assets: delivery.records
-- severity: warn
-- key: batch_id
-- owner: operations
-- means: Turnover may be missing or a mail unsent at Emarsys; nobody knows until somebody has looked.
-- critical: hours 24
-- next_step: Look at the sales data or the event log in Emarsys; then `unknowns resolve`; these records are parked and not sent again by themselves.
select flow, batch_id, count(*) as records, min("at") as since, any_value(reason) as reason
from delivery.records
where outcome = 'unknown' and flow in ('sales', 'events')
group by all
