-- Open orders that take units of a product away, newest first. Parameter: $product_id.
select sales.order_number, sales.order_status, sales.status, sales.ordered_on, sum(lines.quantity) as ordered,
    coalesce(any_value(taken.units), 0) as picked
from staging.order_lines as lines
join staging.sales as sales on sales.sale_id = lines.sale_id
left join (
    select sale_id, product_id, sum(quantity) as units from staging.pick_lines where is_taken group by all
) as taken on taken.sale_id = lines.sale_id and taken.product_id = lines.product_id
where lines.product_id = $product_id and not lines.is_drop_ship and not sales.is_void and sales.is_ordered
    and coalesce(sales.status, '') <> 'COMPLETED' and coalesce(sales.fulfilment_status, '') <> 'FULFILLED'
group by all
order by sales.ordered_on desc, sales.order_number desc
