-- Items that came back into stock and went out of it on each of the last $days days up to $today; quiet days with zeros.
-- @column day: The day, by the calendar of the Cin7 account.
-- @column came_back: Items that became available.
-- @column went_out: Items that became unavailable.
with days as (select unnest(generate_series($today - to_days($days - 1), $today, interval 1 day))::date as day),
changed as (
    select cast((changed_at at time zone 'UTC') at time zone tenant.time_zone as date) as day,
        count(*) filter (to_available and not from_available) as came_back,
        count(*) filter (from_available and not to_available) as went_out
    from mart.availability_events
    cross join staging.tenant as tenant
    where changed_at >= $today - to_days($days)
    group by all
)
select days.day, coalesce(came_back, 0) as came_back, coalesce(went_out, 0) as went_out
from days
left join changed on changed.day = days.day
order by days.day
