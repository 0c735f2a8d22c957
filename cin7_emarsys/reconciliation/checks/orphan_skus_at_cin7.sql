-- title: SKUs known to Emarsys and gone from Cin7: {rows}
-- assets: reconciliation.orphans
-- severity: warn
-- key: key
-- owner: products
-- means: Emarsys may recommend what is not sold any more.
-- of: mart.catalogue
-- critical: share 0.05
-- next_step: Each row says why; an item once published stays at Emarsys, not available, because histories point to it.
select key, cause, since, age_days, owner, next_step
from reconciliation.orphans
where what = 'sku' and missing_at = 'cin7' and not expected
order by cause, key
