-- title: Values of items that are not at Emarsys as they were collected: {rows}
-- assets: reconciliation.drift
-- severity: warn
-- key: key, field
-- owner: marketing
-- means: A mail or a recommendation shows a price, a title or an availability that is not true.
-- of: mart.catalogue
-- critical: share 0.01
-- next_step: Emarsys' own export says so: see the report of its last import in Predict Data Sources, then cin7-emarsys sync products; if it stays, somebody else loads products.
select key, field, ours, theirs, cause, since, owner, next_step
from reconciliation.drift
where what = 'item' and not expected
order by cause, field, key
