-- title: For {rows} people Cin7 and Emarsys disagree about consent
-- assets: reconciliation.contact_drift
-- severity: warn
-- next_step: Ask the person, then correct the wrong one; until then an opt-out on either side should be taken for the answer. Opt-in is never written by us.
select person, ours as cin7, theirs as emarsys, since, next_step
from reconciliation.contact_drift
where cause = 'consent_disagrees'
order by person
