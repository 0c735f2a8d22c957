-- Records sent by one run, with what they were about and why they went. Parameter: $run_id.
-- People are shown by customer id, never by address.
with before as (
    select records.record_id, max(earlier.record_id) as earlier_id
    from delivery.records as records
    join delivery.records as earlier
        on earlier.flow = records.flow and earlier.key = records.key and earlier.record_id < records.record_id
        and earlier.outcome = 'accepted'
    where records.flow = 'contacts'
    group by all
)
select
    records.flow,
    case records.flow
        when 'contacts' then coalesce(contacts.customer_id, 'a guest')
        when 'sales' then (records.payload->>'item') || ' of ' || (records.payload->>'order')
        else events.event || ' of ' || coalesce(records.payload->'data'->>'order', '?')
    end as shown,
    records.outcome,
    case
        when records.flow = 'contacts' and earlier.payload is null then 'new'
        when records.flow = 'contacts' then coalesce('changed: ' || array_to_string(list_filter(
            json_keys(records.payload),
            lambda name: (records.payload->>name) is distinct from (earlier.payload->>name)
        ), ', '), 'cleared a value')
        when records.flow = 'sales' and (records.payload->>'reversal') = 'true' then 'takes back a line that is no longer right'
        when records.flow = 'sales' and starts_with((records.payload->>'quantity'), '-') then 'line of a new refund'
        when records.flow = 'sales' then 'line of a new invoice'
        else 'happened since the last sync'
    end as why
from delivery.records as records
join delivery.batches as batches on batches.batch_id = records.batch_id
left join before on before.record_id = records.record_id
left join delivery.records as earlier on earlier.record_id = before.earlier_id
left join mart.contacts as contacts on records.flow = 'contacts' and contacts.email = records.key
left join mart.order_events as events on records.flow = 'events' and events.trigger_id = records.key
where batches.run_id = $run_id
order by records.flow, shown
