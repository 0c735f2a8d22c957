-- The events of one person and what became of them, newest first. Parameter: $email.
select events.event, events.kind, persons.order_number, events.trigger_id, events.fact_at,
    coalesce(
        events.excluded, latest.outcome,
        case when events.kind = 'marketing' and read.opt_in is distinct from '1' then 'waiting for consent at Emarsys' end,
        'waiting'
    ) as outcome,
    latest."at" as decided_at
from mart.order_events as events
left join mart.sale_persons as persons on persons.sale_id = events.sale_id
left join (
    select key, arg_max(outcome, record_id) as outcome, max("at") as "at" from delivery.records where flow = 'events' group by key
) as latest on latest.key = events.trigger_id
left join reconciliation.contacts_read as read on read.email = events.email
where events.email = $email
order by events.fact_at desc, persons.order_number desc, events.event
