-- title: Changes held, because they would send many mails at once: {rows}
-- assets: mart.held_flips
-- severity: warn
-- key: hold_id, item
-- owner: marketing
-- means: Customers who wait for these items are not told until somebody has looked.
-- due_hours: 4
-- critical: hours 24
-- next_step: Look at them; if they are real: `sync stock --release HOLD --reason "..."`. Everything else is published meanwhile.
select hold_id, kind, item, was, wanted, reason, held_at,
    round(date_diff('minute', held_at, tenant.as_of) / 60.0, 1) as hours
from mart.held_flips, staging.tenant as tenant
where ended_at is null and released_at is null
order by held_at, item
