-- title: {rows} fields of contacts are not at Emarsys as it accepted them
-- assets: reconciliation.contact_drift
-- severity: warn
-- next_step: Each row says why; most often somebody else writes that field at Emarsys, so agree who owns it.
select person, field, cause, since, next_step from reconciliation.contact_drift where cause <> 'consent_disagrees'
order by cause, field, person
