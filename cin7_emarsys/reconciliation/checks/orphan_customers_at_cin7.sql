-- title: Contacts at Emarsys that are no customers in Cin7: {rows}
-- assets: reconciliation.orphans
-- severity: warn
-- key: key
-- owner: marketing
-- means: Emarsys may mail people who are no customers any more.
-- of: mart.contacts
-- critical: share 0.1
-- next_step: Each row says why; people who only signed up are fine, contacts whose customer is gone may have to go too.
select key, cause, since, age_days, owner, next_step
from reconciliation.orphans
where what = 'customer' and missing_at = 'cin7' and not expected
order by cause, key
