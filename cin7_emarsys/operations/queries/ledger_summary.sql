-- Per flow: batches and records by outcome, over everything sent. sent = accepted + rejected + retryable + unknown.
select
    flow,
    count(distinct batch_id) as batches,
    count(*) as sent,
    count(*) filter (outcome = 'accepted') as accepted,
    count(*) filter (outcome = 'rejected') as rejected,
    count(*) filter (outcome = 'retryable') as retryable,
    count(*) filter (outcome = 'unknown') as unknown,
    max("at") as newest
from delivery.records
group by flow
order by flow
