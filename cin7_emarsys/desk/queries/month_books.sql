-- Whose books, how far they are locked and read, and how many documents have no date and so belong to no month. One row.
-- @column currency: Currency of the books.
-- @column lock_date: Documents up to this date are closed in Cin7's books; null while none are.
-- @column today: The merchant's calendar day.
-- @column history_complete: All documents have been read.
-- @column undated: Documents without a date.
select any_value(tenant.currency) as currency, any_value(tenant.lock_date) as lock_date, any_value(tenant.today) as today,
    any_value(tenant.history_complete) as history_complete,
    count(*) filter (books.document_id is not null and books.dated_on is null) as undated
from staging.tenant as tenant
left join reconciliation.document_books as books on true
