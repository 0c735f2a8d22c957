-- Invoices and credit notes whose lines Emarsys has not accepted, and that are not parked.
select count(distinct (lines.document_kind, lines.document_id)) as units
from mart.sales_lines as lines
where not exists (
    from delivery.records as records
    where records.flow = 'sales' and records.document = lines.document_kind || ':' || lines.document_id
        and records.outcome in ('accepted', 'unknown')
)
