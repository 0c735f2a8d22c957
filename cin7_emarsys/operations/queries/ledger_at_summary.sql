-- What Emarsys should have held at a moment, in figures. Parameter: $at (UTC).
select
    count(distinct key) filter (flow = 'contacts' and outcome = 'accepted') as contacts,
    count(*) filter (flow = 'sales' and outcome = 'accepted') as sales_lines,
    count(*) filter (flow = 'events' and outcome = 'accepted') as events,
    count(*) filter (flow in ('sales', 'events') and outcome = 'unknown') as unknown,
    (
        select max(version) from delivery.publications
        where coalesce(collected_at, published_at) <= $at
    ) as version
from delivery.records
where "at" <= $at
