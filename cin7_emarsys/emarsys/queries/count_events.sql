-- Events that should be at Emarsys, those that are, and those parked because nobody knows.
select
    count(*) as desired,
    count(*) filter (fate = 'accepted') as unchanged,
    count(*) filter (fate = 'unknown') as frozen
from (
    select (
        select min(sent.outcome) from delivery.records as sent
        where sent.flow = 'events' and sent.key = events.trigger_id and sent.outcome in ('accepted', 'unknown')
    ) as fate
    from mart.order_events as events
    where events.excluded is null or ($late and events.excluded = 'too_late' and events.data is not null)
)
