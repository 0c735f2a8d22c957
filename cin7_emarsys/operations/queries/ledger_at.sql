-- What Emarsys should have held at a moment, newest first: of each record what it had accepted last by then. Parameters (each
-- but $at may be null): $at (UTC), $flow, $batch, $sku, $customer (e-mail or customer id), $order, $limit.
select records.record_id, records.batch_id, records.flow, records.key, records."at", records.payload
from delivery.records as records
left join mart.contacts as contacts on records.flow = 'contacts' and contacts.email = records.key
where records.outcome = 'accepted' and records."at" <= $at
    and ($flow is null or records.flow = $flow)
    and ($sku is null or (records.payload->>'item') = $sku)
    and ($order is null or (records.payload->>'order') = $order or (records.payload->'data'->>'order') = $order)
    and ($customer is null or records.key = lower(trim($customer)) or contacts.customer_id = lower(trim($customer))
        or (records.payload->>'email') = lower(trim($customer))
        or (records.payload->>'external_id') = lower(trim($customer)))
    and not exists (
        from delivery.records as later
        where later.flow = records.flow and later.key = records.key and later.outcome = 'accepted'
            and later."at" <= $at and later.record_id > records.record_id
    )
    and ($batch is null or records.batch_id = $batch)
order by records.record_id desc
limit $limit
