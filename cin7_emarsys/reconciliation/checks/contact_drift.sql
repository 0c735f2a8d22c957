-- title: Fields of contacts that are not at Emarsys as it accepted them: {rows}
-- assets: reconciliation.drift
-- severity: warn
-- key: key, field
-- owner: marketing
-- means: A mail or a segment uses a value of these people that is not true.
-- of: mart.contacts
-- critical: share 0.01
-- next_step: Each row says why; most often somebody else writes that field at Emarsys, so agree who owns it.
select key, field, cause, since, owner, next_step
from reconciliation.drift
where what = 'contact' and not expected and cause <> 'consent_disagrees'
order by cause, field, key
