-- Events not yet decided, oldest first. `waits`: Emarsys does not know the contact yet.
select
    events.trigger_id as key, events.event, events.kind, events.email, events.fact_at, events.deadline_at, events.data,
    contacts.key is null as waits
from mart.order_events as events
left join delivery.delivered as contacts on contacts.flow = 'contacts' and contacts.key = events.email
where events.excluded is null and events.data is not null
    and not exists (
        from delivery.records as sent
        where sent.flow = 'events' and sent.key = events.trigger_id and sent.outcome in ('accepted', 'unknown', 'rejected')
    )
order by events.event, events.fact_at, events.trigger_id
