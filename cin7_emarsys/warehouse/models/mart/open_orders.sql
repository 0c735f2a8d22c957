-- grain: one row per order that is authorised and not invoiced, once its detail has been read
-- key: sale_id
-- meaning: Open orders: they make a person a customer, and are worth nothing yet.
-- figure newest: max(ordered_on)
-- @column sale_id: The sale.
-- @column order_number: Number of the order.
-- @column person_id: Whose it is.
-- @column email: E-mail of that person.
-- @column customer_id: Customer account.
-- @column ordered_on: Date of the order.
-- @column status: Status of the sale.
-- @column order_status: Status of its order.
select sales.sale_id, sales.order_number, persons.person_id, persons.email, sales.customer_id, sales.ordered_on,
    sales.status, sales.order_status
from staging.sales as sales
join mart.sale_persons as persons on persons.sale_id = sales.sale_id
where sales.is_ordered
    and not sales.is_void
    and sales.is_listed
    and sales.sale_id not in (select sale_id from mart.documents where document_kind = 'invoice')
