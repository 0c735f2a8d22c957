-- Records sent by one run, with what they were about and why they went. Parameter: $run_id.
-- People are shown by customer id, never by address.
select
    records.flow,
    coalesce(contacts.customer_id, sales.item || ' of ' || sales."order", events.event, records.key) as shown,
    records.outcome,
    case
        when records.flow = 'contacts' then 'its attributes changed, or it is new'
        when records.flow = 'sales' then 'a new line of an order, or of a refund'
        when records.flow = 'events' then 'it happened since the last sync'
        else 'it changed'
    end as why
from delivery.records as records
join delivery.batches as batches on batches.batch_id = records.batch_id
left join mart.contacts as contacts on records.flow = 'contacts' and contacts.email = records.key
left join mart.sales_lines as sales
    on records.flow = 'sales' and sales.document_id || ':' || sales.line_no = records.key
left join mart.order_events as events on records.flow = 'events' and events.trigger_id = records.key
where batches.run_id = $run_id
order by records.flow, shown
