-- title: Sales that could not be read: {rows}
-- assets: raw.sales
-- severity: warn
-- key: kind, sale_id
-- owner: data
-- means: These orders are missing from customer values, sales data and stock that is spoken for.
-- of: raw.sale_headers
-- critical: share 0.01
-- next_step: Open the sale in Cin7; it is asked for again in each run, at most five times until it changes.
select sale_id, kind, attempts, last_error
from raw.sale_queue
where attempts > 0
