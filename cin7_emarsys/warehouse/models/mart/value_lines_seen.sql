-- grain: one row per document of a person
-- key: document_kind, document_id
-- meaning: The documents behind each value as the last build left them, so that the next one can say which came, went or
-- changed. Empty until the whole history has been read.
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column person_id: The person.
-- @column number: Number of the document.
-- @column order_number: Number of the order.
-- @column amount: What it added to the lifetime value.
select lines.document_kind, lines.document_id, lines.person_id, lines.number, lines.order_number, lines.amount
from mart.customer_value_lines as lines
cross join staging.tenant as tenant
where tenant.history_complete and lines.document_kind <> 'open_order'
