-- The newest month with documents, none of the future. One row.
-- @column month: As YYYY-MM; null where there are no documents.
select strftime(max(dated_on), '%Y-%m') as month
from reconciliation.document_books
cross join staging.tenant as tenant
where dated_on <= tenant.today
