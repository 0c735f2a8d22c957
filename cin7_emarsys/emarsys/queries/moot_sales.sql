-- Sales lines among the open dead letters that nobody wants sent any more: the document says something else by now.
select letters.key
from delivery.dead_letters as letters
join delivery.records as records on records.record_id = letters.record_id
where letters.flow = 'sales' and letters.closed_at is null and not cast(records.payload->>'reversal' as boolean)
    and not exists (
        from mart.sales_lines as lines
        where lines.document_kind || ':' || lines.document_id = letters.document
            and lines.item = (records.payload->>'base_item')
            and lines.price = cast(records.payload->>'base_price' as decimal(18, 4))
            and lines.quantity = cast(records.payload->>'base_quantity' as decimal(18, 4))
    )
