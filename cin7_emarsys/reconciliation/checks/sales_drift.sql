-- title: Orders of which Emarsys accepted more than there is: {rows}
-- assets: reconciliation.drift
-- severity: warn
-- key: key
-- owner: operations
-- means: Turnover of these orders is too high at Emarsys, and their buyers look more valuable than they are.
-- of: reconciliation.sales_sums
-- critical: share 0.01
-- next_step: A document shrank and its reversal has not gone yet: cin7-emarsys sync orders sends it; if it stays, see cin7-emarsys ledger --order.
select key, ours, theirs, cause, since, owner, next_step
from reconciliation.drift
where what = 'order' and not expected
order by key
