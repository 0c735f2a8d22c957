-- The documents that add up to one person's value, oldest first (open orders last), with the running value, and what was paid of each in its
-- own currency. Parameter: $person_id.
select lines.dated_on, lines.document_kind, lines.number, lines.order_number, lines.note, lines.currency,
    lines.document_amount, lines.rate, lines.amount, lines.fx_difference, lines.fault,
    (
        select sum(payments.amount) from staging.payments as payments
        where payments.document_kind = lines.document_kind and payments.document_id = lines.document_id
    ) as paid,
    sum(lines.amount) over (
        order by lines.document_kind = 'open_order', lines.dated_on, lines.document_kind desc, lines.number, lines.document_id
    ) as running_ltv
from mart.customer_value_lines as lines
where lines.person_id = $person_id
order by lines.document_kind = 'open_order', lines.dated_on, lines.document_kind desc, lines.number, lines.document_id
