-- title: {rows} SKUs may not come back into stock yet, because orders and stock are not of one moment
-- assets: mart.availability
-- severity: warn
-- next_step: Run the stock job again; it reads the orders first, then the stock.
select sku, state, ats, reason
from mart.availability
where reason in ('orders_older_than_snapshot', 'unallocated_orders_not_read')
