-- When the merchant's day began, by the calendar of the Cin7 account. One row.
-- @column begins_at: That midnight (UTC).
select cast((today::timestamp at time zone time_zone) at time zone 'UTC' as timestamp) as begins_at
from staging.tenant
