-- How many rows each filter of the orphans page finds. One row.
select
    count(*) filter (not expected) as "all",
    count(*) filter (what = 'sku' and missing_at = 'emarsys') as skus_there,
    count(*) filter (what = 'sku' and missing_at = 'cin7') as skus_here,
    count(*) filter (what = 'customer' and missing_at = 'emarsys') as customers_there,
    count(*) filter (what = 'customer' and missing_at = 'cin7') as customers_here
from reconciliation.orphans
