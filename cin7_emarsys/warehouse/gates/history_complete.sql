-- title: Sales of the first reading that still lack their details: {rows}
-- assets: mart.sales_lines, mart.order_events
-- severity: warn
-- guards: sales, events
-- key: sale_id
-- owner: operations
-- means: Customer values are not known yet, so no order, value or event reaches Emarsys.
-- of: raw.sale_headers
-- critical: hours 48
-- next_step: Let the orders job go on: about {minutes} minutes of calls. Until then no order, value or event leaves, so that a loyal customer is not greeted as new.
select sale_id, order_date, priority, attempts, last_error
from raw.sale_queue
where first_scan
union all
select 'the first reading of sale headers has not been done', null, null, null, null
where not exists (from raw.watermarks where entity = 'baseline')
