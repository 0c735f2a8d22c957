-- title: {rows} flows in which more was accepted than should be there
-- assets: reconciliation.flow_balance
-- next_step: Something was sent twice, or a document shrank and its reversal has not gone yet: run the orders job, then look at the ledger.
select * from reconciliation.flow_balance where open < 0
