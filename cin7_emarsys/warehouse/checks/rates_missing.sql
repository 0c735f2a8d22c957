-- title: Documents in a currency without a rate: {rows}
-- assets: mart.documents
-- severity: warn
-- key: document_kind, number, order_number
-- owner: finance
-- means: These documents are worth nothing here, so their customers look less valuable than they are.
-- of: mart.documents
-- next_step: Enter the exchange rate on the document in Cin7; until then it is worth nothing here and is not sent.
select document_kind, number, order_number, currency, goods, dated_on
from mart.documents
where rate is null
order by dated_on desc, number
