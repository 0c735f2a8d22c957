-- title: {rows} sales could not be read
-- assets: raw.sales
-- severity: warn
-- next_step: Open the sale in Cin7; it is asked for again in each run, at most five times until it changes.
select sale_id, kind, attempts, last_error
from raw.sale_queue
where attempts > 0
