-- title: {rows} SKUs are known to Emarsys and gone from Cin7
-- assets: reconciliation.orphan_skus
-- severity: warn
-- next_step: Each row says why; an item once published stays at Emarsys, not available, because histories point to it.
select sku, cause, since, owner, next_step
from reconciliation.orphan_skus
where missing_at = 'cin7' and not expected
order by cause, sku
