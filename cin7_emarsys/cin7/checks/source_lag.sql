-- title: Sources that have not been read for longer than the policy allows: {rows}
-- assets: raw.sale_headers
-- severity: warn
-- key: entity
-- owner: operations
-- means: What marketing does rests on data that is too old.
-- critical: hours 24
-- next_step: See why their job does not run (schedules switched off, credentials, rate limit).
select entity, watermark as read_up_to, completed_at
from raw.watermarks
cross join policy.settings as settings
where entity in ('products', 'customers', 'sale_headers', 'availability')
and completed_at < (select max(completed_at)
from raw.watermarks) - to_hours(settings.nightly_hours)
