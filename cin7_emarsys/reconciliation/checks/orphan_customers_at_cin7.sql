-- title: {rows} contacts of Emarsys are not customers in Cin7
-- assets: reconciliation.orphan_customers
-- severity: warn
-- next_step: Each row says why; people who only signed up are fine, contacts whose customer is gone may have to go too.
select person, cause, since, owner, next_step
from reconciliation.orphan_customers
where missing_at = 'cin7' and not expected
order by cause, person
