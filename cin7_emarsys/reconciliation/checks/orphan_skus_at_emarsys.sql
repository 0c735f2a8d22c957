-- title: SKUs sold in Cin7 and unknown to Emarsys: {rows}
-- assets: reconciliation.orphans
-- severity: warn
-- key: key
-- owner: products
-- means: These items are in no mail and no recommendation.
-- of: staging.products
-- critical: share 0.05
-- next_step: Each row says why and what to do; most often the product file waits to be published (cin7-emarsys sync products).
select key, cause, since, age_days, owner, next_step
from reconciliation.orphans
where what = 'sku' and missing_at = 'emarsys' and not expected
order by cause, key
