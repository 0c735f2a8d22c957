-- title: Flows that do not add up: {rows}
-- assets: reconciliation.balance
-- key: flow
-- owner: data
-- means: Some records cannot be accounted for: they may be missing at Emarsys, or be there twice.
-- due_hours: 4
-- next_step: Unaccounted rows are a fault of this program: report them. Open below 0: something went twice, or a document shrank and its reversal has not gone yet; run cin7-emarsys sync orders, then look at cin7-emarsys ledger.
select flow, day, source, excluded, eligible, unaccounted, open
from reconciliation.balance
where day = (select max(day) from reconciliation.balance) and (open < 0 or unaccounted <> 0)
