-- Records sent on each of the last $days days up to $today, by flow and outcome; days without any are there with zeros.
-- @column day: The day, by the calendar of the Cin7 account.
-- @column accepted: Records accepted; of the catalogue, items that changed in published versions are not counted here.
-- @column rejected: Refused.
-- @column retryable: Tried again later.
-- @column unknown: Parked.
with days as (select unnest(generate_series($today - to_days($days - 1), $today, interval 1 day))::date as day),
sent as (
    select cast((closed_at at time zone 'UTC') at time zone tenant.time_zone as date) as day,
        sum(accepted) as accepted, sum(rejected) as rejected, sum(retryable) as retryable, sum(unknown) as unknown
    from delivery.batches
    cross join staging.tenant as tenant
    where closed_at >= $today - to_days($days)
    group by all
)
select days.day, coalesce(accepted, 0)::bigint as accepted, coalesce(rejected, 0)::bigint as rejected,
    coalesce(retryable, 0)::bigint as retryable, coalesce(unknown, 0)::bigint as unknown
from days
left join sent on sent.day = days.day
order by days.day
