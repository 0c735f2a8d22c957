-- Where every source row of each flow is now. One row per flow.
-- @column flow: contacts, catalogue, sales or events.
-- @column source: Rows there are.
-- @column excluded: Of these, left out by a named rule.
-- @column eligible: To be at Emarsys.
-- @column accepted: Accepted; of the catalogue, published.
-- @column rejected: Refused since the day before.
-- @column unknown: Sent since the day before without a trustworthy answer.
-- @column open: Not sent yet, to be sent again, or waiting for a person since earlier.
-- @column unaccounted: Neither; always 0.
select flow, source, excluded, eligible, unchanged + accepted as accepted, rejected, unknown, parked + retryable + open as open,
    unaccounted
from reconciliation.balance
where day = (select max(day) from reconciliation.balance)
order by list_position(['contacts', 'catalogue', 'sales', 'events'], flow)
