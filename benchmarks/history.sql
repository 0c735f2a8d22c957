-- What the retail history says by itself, straight from its lines (view `history`): one row per customer, and one without
-- e-mail for all that has no customer. An invoice whose number has no letter is an order when it is worth something; a
-- number with C is a credit note; the rest (A, and write-offs) is neither.
-- Columns: email, orders, gross, refunded.
with invoices as (
    select invoice_no, any_value(customer_id) as customer_id,
        sum(quantity * unit_price) filter (quantity > 0) as gross
    from history
    where regexp_matches(invoice_no, '^[0-9]+$')
    group by invoice_no
),
bought as (
    select customer_id, count(*) filter (gross > 0) as orders, sum(gross) as gross
    from invoices
    where gross is not null
    group by customer_id
),
returned as (
    select customer_id, sum(-quantity * unit_price) as refunded
    from history
    where invoice_no like 'C%'
    group by customer_id
)
select 'c' || coalesce(bought.customer_id, returned.customer_id) || '@example.com' as email,
    coalesce(orders, 0) as orders, coalesce(gross, 0) as gross, coalesce(refunded, 0) as refunded
from bought
full join returned on returned.customer_id is not distinct from bought.customer_id
