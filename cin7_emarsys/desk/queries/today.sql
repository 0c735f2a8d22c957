-- When the merchant's day began, by the calendar of the Cin7 account. One row.
-- @column day: That day.
-- @column begins_at: Its midnight (UTC).
select today as day,
    cast((today::timestamp at time zone time_zone) at time zone 'UTC' as timestamp) as begins_at
from staging.tenant
