-- grain: one row per faulty document
-- key: document_kind, document_id
-- meaning: Documents that a person must look at; their line arithmetic counts all the same.
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column number: Number of the document.
-- @column order_number: Number of the order.
-- @column fault: What is wrong.
-- @column computed_total: Lines and charges as computed.
-- @column stated_total: What the document says.
-- @column difference: The one less the other.
select document_kind, document_id, number, order_number, fault, computed_total, stated_total,
    cast(computed_total - stated_total as decimal(18, 4)) as difference
from mart.documents
where fault is not null
