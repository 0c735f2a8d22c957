-- What Emarsys should have held at a moment, newest first: of each record what it had accepted last by then. Parameters (each
-- but $at may be null): $at (UTC), $flow, $batch, $sku, $customer (e-mail or customer id), $order, $limit.
-- Of a million payloads only those that contain (or whose names contain) what is looked for are taken apart, and only the ids
-- are sorted.
with held as (
    select max(record_id) as record_id from delivery.records
    where (outcome = 'accepted' or resolution = 'replayed' and resolved_at > $at) and "at" <= $at
        and flow <> 'erasures' and ($flow is null or flow = $flow)
        and (flow <> 'contacts' or key not in ( -- deleted there by then
            select key from delivery.records where flow = 'erasures' and outcome = 'accepted' and "at" <= $at
        ))
    group by flow, key
),
chosen as (
    select record_id from delivery.records semi join held using (record_id)
    where ($batch is null or batch_id = $batch)
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
select records.record_id, records.batch_id, records.flow, records.key, records."at", records.payload
from chosen
join delivery.records as records on records.record_id = chosen.record_id
order by records.record_id desc
