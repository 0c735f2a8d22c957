-- title: Batches on their way for more than an hour: {rows}
-- assets: delivery.in_flight
-- severity: warn
-- key: batch_id
-- owner: operations
-- means: A delivery stopped half-way; what it carried may be late.
-- next_step: Their process died or hangs. Run the job of that flow again: what certainly did not leave goes again, the rest is sent again or parked.
select batch_id, flow, run_id, state, records, created_at
from delivery.in_flight, staging.tenant as tenant
where created_at < tenant.as_of - interval 1 hour
order by created_at
