-- title: {rows} SKUs are promised beyond what is there
-- assets: mart.ats
-- severity: warn
-- next_step: Count these SKUs in the warehouse, receive what has arrived, or tell the customers; nothing of them is promised meanwhile.
select sku, on_hand, shortfall, requested_allocated, charged_allocated, requested_open_unallocated,
    charged_open_unallocated, ats
from mart.ats
where valid_to is null
    and (shortfall > 0 or requested_allocated > charged_allocated
        or requested_open_unallocated > charged_open_unallocated)
order by shortfall + requested_allocated - charged_allocated + requested_open_unallocated - charged_open_unallocated
    desc, sku
