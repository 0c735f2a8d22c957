-- Records sent, newest first. Parameters (each may be null): $flow, $outcome, $batch, $since (UTC), $sku, $customer (e-mail or
-- customer id), $order, $limit.
select
    records.record_id, records.batch_id, records.flow, records.key, records.outcome, records.code, records.reason,
    records."at", batches.run_id, batches.endpoint, batches.status, records.payload
from delivery.records as records
join delivery.batches as batches on batches.batch_id = records.batch_id
left join mart.contacts as contacts on records.flow = 'contacts' and contacts.email = records.key
where ($flow is null or records.flow = $flow)
    and ($outcome is null or records.outcome = $outcome)
    and ($batch is null or records.batch_id = $batch)
    and ($since is null or records."at" >= $since)
    and ($sku is null or (records.payload->>'item') = $sku)
    and ($order is null or (records.payload->>'order') = $order or (records.payload->'data'->>'order') = $order)
    and ($customer is null or records.key = lower(trim($customer)) or contacts.customer_id = lower(trim($customer))
        or (records.payload->>'email') = lower(trim($customer))
        or (records.payload->>'external_id') = lower(trim($customer)))
order by records.record_id desc
limit $limit
