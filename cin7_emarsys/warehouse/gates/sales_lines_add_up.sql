-- title: Documents whose sales lines do not sum to what they count: {rows}
-- assets: mart.sales_lines
-- guards: sales
-- blocking: true
-- key: document_kind, document_id
-- owner: data
-- means: Sales data is held back, so that Emarsys does not learn a wrong turnover.
-- due_hours: 4
-- next_step: A fault of this program, not of the data: report it with these rows; sales data in Emarsys cannot be taken back.
select documents.document_kind, documents.document_id, documents.net, sum(lines.price) as sent
from mart.documents as documents
join mart.sales_lines as lines
    on lines.document_kind = documents.document_kind and lines.document_id = documents.document_id
cross join policy.settings as settings
where settings.price_basis = 'net'
group by all
having abs(sent) <> abs(documents.net)
