-- Records sent, newest first. Parameters (each may be null): $flow, $outcome, $batch, $since (UTC), $sku, $customer (e-mail or
-- customer id), $order, $limit.
-- Of a million payloads only those that contain (or whose names contain) what is looked for are taken apart, and only the ids
-- are sorted.
with chosen as (
    select record_id from delivery.records
    where ($flow is null or flow = $flow)
        and ($outcome is null or outcome = $outcome)
        and ($since is null or "at" >= $since)
        and ($batch is null or batch_id = $batch)
        and ($sku is null or case when contains(cast(payload as varchar), cast(to_json($sku) as varchar))
            then (payload->>'item') = $sku end)
        and ($order is null or case when contains(cast(payload as varchar), cast(to_json($order) as varchar))
            then (payload->>'order') = $order or (payload->'data'->>'order') = $order end)
        and ($customer is null or key = lower(trim($customer))
            or case when contains(names, lower(trim($customer)))
                then (payload->>'email') = lower(trim($customer)) or (payload->>'external_id') = lower(trim($customer)) end
            or (flow = 'contacts' and key in (
                select email from mart.contacts where customer_id = lower(trim($customer))
            )))
    order by record_id desc
    limit $limit
)
select
    records.record_id, records.batch_id, records.flow, records.key, records.outcome, records.code, records.reason,
    records."at", records.resolution, batches.run_id, batches.endpoint, batches.status, records.payload
from chosen
join delivery.records as records on records.record_id = chosen.record_id
join delivery.batches as batches on batches.batch_id = records.batch_id
order by records.record_id desc
