-- Where every source row of each flow is now. One row per flow.
-- @column flow: contacts, catalogue, sales or events.
-- @column source: Rows there are.
-- @column excluded: Of these, left out by a named rule.
-- @column eligible: To be at Emarsys.
-- @column accepted: Accepted; of the catalogue, published.
-- @column rejected: Refused, waiting for a person.
-- @column unknown: Parked: sent without a trustworthy answer.
-- @column open: Not sent yet, or to be sent again.
-- @column unaccounted: Neither; always 0.
select flow, source, excluded, eligible, accepted, rejected, unknown, open, unaccounted
from reconciliation.flow_balance
order by list_position(['contacts', 'catalogue', 'sales', 'events'], flow)
