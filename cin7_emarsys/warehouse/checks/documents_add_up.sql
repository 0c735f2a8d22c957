-- title: Documents that do not match their own totals: {rows}
-- assets: mart.documents
-- severity: warn
-- key: document_kind, number, order_number
-- owner: finance
-- means: The worth of these invoices and credit notes is in doubt, and with it the value of their customers.
-- of: mart.documents
-- critical: share 0.05
-- next_step: Compare them in Cin7 (a discount or a tax rule read differently); their lines count as they are.
select document_kind, number, order_number, fault, computed_total, stated_total, difference
from mart.document_faults
where fault not like 'no exchange rate%'
order by abs(difference) desc nulls last, number
