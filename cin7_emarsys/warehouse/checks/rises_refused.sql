-- title: SKUs that keep their state, because what Cin7 says of them is not borne out: {rows}
-- assets: mart.availability
-- severity: warn
-- key: sku
-- owner: operations
-- means: These items may be back, and customers who wait for them are not told until it is certain.
-- of: mart.availability
-- critical: hours 24
-- next_step: The stock job tries again by itself: orders first, then the stock, then a second look. If a reason stays for hours, do what it says: read that order, or compare the SKU's rows in Cin7.
select sku, state, ats, reason
from mart.availability
where reason in ('orders_older_than_snapshot', 'unallocated_orders_not_read', 'second_look_saw_less')
    or reason like 'second_look_failed%' or reason like 'rows_vanished%'
