-- title: {rows} SKUs are sold in Cin7 and unknown to Emarsys
-- assets: reconciliation.orphan_skus
-- severity: warn
-- next_step: Each row says why and what to do; most often the product file waits to be published (cin7-emarsys sync products).
select sku, cause, since, owner, next_step
from reconciliation.orphan_skus
where missing_at = 'emarsys' and not expected
order by cause, sku
