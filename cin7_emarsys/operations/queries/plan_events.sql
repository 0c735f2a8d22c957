-- Calls for the events that are to go: one for each event and $batch people, and one to ask for consent where it is needed.
select coalesce(sum(ceil(people / $batch) * if(kind = 'marketing', 2, 1)), 0)::bigint as units
from (
    select event, kind, count(*)::double as people
    from mart.order_events as events
    where excluded is null and data is not null and not exists (
        from delivery.records as records
        where records.flow = 'events' and records.key = events.trigger_id and records.outcome in ('accepted', 'unknown', 'rejected')
    )
    group by event, kind
)
