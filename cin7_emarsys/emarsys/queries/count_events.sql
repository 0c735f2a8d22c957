-- Events that should be at Emarsys, and those that are.
select
    count(*) as desired,
    count(*) filter (exists (
        from delivery.records as sent
        where sent.flow = 'events' and sent.key = events.trigger_id and sent.outcome = 'accepted'
    )) as unchanged
from mart.order_events as events
where events.excluded is null
