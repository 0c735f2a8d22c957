-- Events not yet decided, oldest first; with $late those that are past their deadline too, as long as their data is kept. `waits`: Emarsys does not know the contact yet. `doubtful_at`: it was sent, first
-- then, and nobody knows whether it was applied.
with sent as (
    select
        records.key,
        bool_or(outcome = 'accepted') as accepted,
        bool_or(outcome = 'unknown') as unknown,
        min(coalesce(batches.connecting_at, batches.created_at)) filter (
            outcome = 'unknown' or resolution = 'repeated'
        ) as doubtful_at
    from delivery.records as records
    join delivery.batches as batches on batches.batch_id = records.batch_id
    where records.flow = 'events'
    group by records.key
)
select
    events.trigger_id as key, events.event, events.kind, events.email, events.fact_at, events.deadline_at, events.data,
    contacts.key is null as waits,
    case when sent.unknown then sent.doubtful_at end as doubtful_at
from mart.order_events as events
left join delivery.delivered as contacts on contacts.flow = 'contacts' and contacts.key = events.email
left join sent on sent.key = events.trigger_id
where (events.excluded is null or ($late and events.excluded = 'too_late')) and events.data is not null
    and not coalesce(sent.accepted, false)
    and not exists (
        from delivery.dead_letters as dead
        where dead.flow = 'events' and dead.key = events.trigger_id and coalesce(dead.closed_by, 'dropped') = 'dropped'
    )
order by events.event, events.fact_at, events.trigger_id
