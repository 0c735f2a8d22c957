-- The documents that add up to one person's value, oldest first, with the running value. Parameter: $person_id.
select dated_on, document_kind, number, order_number, note, currency, document_amount, rate, amount, fx_difference, fault,
    sum(amount) over (order by dated_on, document_kind desc, document_id) as running_ltv
from mart.customer_value_lines
where person_id = $person_id
order by dated_on, document_kind desc, document_id
