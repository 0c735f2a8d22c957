-- title: E-mail addresses in Cin7 that cannot be mailed: {rows}
-- assets: staging.contacts
-- severity: warn
-- key: what, customer_id, contact_no, order_number
-- owner: sales
-- means: These people cannot be mailed.
-- of: staging.contacts
-- next_step: Correct the address in Cin7 (one address in each field); until then the person is known by the customer account alone.
select 'contact' as what, customer_id, contact_no, null as order_number
from staging.contacts
where not is_valid
union all
select 'sale', sales.customer_id, null, sales.order_number
from staging.sales as sales
join raw.sales as details on details.ID = sales.sale_id
where sales.email is null and trim(details.Email) <> ''
order by what, customer_id, contact_no, order_number
