-- title: {rows} flows do not add up
-- assets: reconciliation.flow_balance
-- next_step: Unaccounted rows are a fault of this program: report them. Open below 0: something went twice, or a document shrank and its reversal has not gone yet; run cin7-emarsys sync orders, then look at cin7-emarsys ledger.
select flow, source, excluded, eligible, unaccounted, open
from reconciliation.flow_balance
where open < 0 or unaccounted <> 0
