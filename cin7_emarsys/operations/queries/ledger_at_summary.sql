-- What Emarsys should have held at a moment, in figures. Parameter: $at (UTC).
with sent as (
    select flow, key, outcome = 'accepted' or resolution = 'replayed' and resolved_at > $at as held, outcome
    from delivery.records
    where "at" <= $at
)
select
    count(distinct key) filter (flow = 'contacts' and held and key not in ( -- deleted there by then
        select key from sent where flow = 'erasures' and held
    )) as contacts,
    count(*) filter (flow = 'sales' and held) as sales_lines,
    count(*) filter (flow = 'events' and held) as events,
    count(*) filter (flow in ('sales', 'events') and outcome = 'unknown') as unknown,
    (
        select max(version) from delivery.publications
        where coalesce(collected_at, published_at) <= $at
    ) as version
from sent
