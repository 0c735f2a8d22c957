-- title: Customers of Cin7 that are not at Emarsys: {rows}
-- assets: reconciliation.orphans
-- severity: warn
-- key: key
-- owner: sales
-- means: These customers get no mail.
-- of: mart.persons
-- critical: share 0.1
-- next_step: Each row says why and what to do; a customer without an e-mail cannot be mailed at all.
select key, cause, since, age_days, owner, next_step
from reconciliation.orphans
where what = 'customer' and missing_at = 'emarsys' and not expected
order by cause, key
