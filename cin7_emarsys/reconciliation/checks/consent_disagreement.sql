-- title: People about whose consent Cin7 and Emarsys disagree: {rows}
-- assets: reconciliation.drift
-- severity: warn
-- key: key
-- owner: marketing
-- means: Somebody may get mails who does not want them, or none though she does.
-- due_hours: 24
-- of: mart.contacts
-- next_step: Ask the person, then correct the wrong one; until then an opt-out on either side should be taken for the answer. Opt-in is never written by us.
select key, ours as cin7, theirs as emarsys, since, owner, next_step
from reconciliation.drift
where cause = 'consent_disagrees'
order by key
