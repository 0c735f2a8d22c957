-- title: {rows} customers of Cin7 are not at Emarsys
-- assets: reconciliation.orphan_customers
-- severity: warn
-- next_step: Each row says why and what to do; a customer without an e-mail cannot be mailed at all.
select person, cause, since, owner, next_step
from reconciliation.orphan_customers
where missing_at = 'emarsys' and not expected
order by cause, person
