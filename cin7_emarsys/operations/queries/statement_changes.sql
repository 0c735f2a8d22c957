-- Why one person's value changed, newest first. Parameter: $person_id.
select changed_at, what, document_kind, number, order_number, amount_before, amount_after, difference, reason,
    sum(difference) over (order by revision, document_kind desc, document_id) as sum_of_changes
from mart.customer_value_changes
where person_id = $person_id
order by revision desc, document_kind, document_id desc
