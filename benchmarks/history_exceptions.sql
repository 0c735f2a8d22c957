-- What a person must look at in the retail history, straight from its lines (view `history`): one row per class of
-- exceptions that has any. Customers who got back more than they paid; documents of nobody; goods (all codes but the
-- charges) sold or returned without ever having had a price; goods of which more was written off than the 100 on the shelf;
-- credit notes with a line that gives nothing back.
-- Codes that differ only in letter case or blanks are one item, as in the replay.
-- Columns: class, count.
with lines as (
    select *, upper(trim(stock_code)) as sku, regexp_matches(invoice_no, '^[0-9]+$') as is_sale,
        invoice_no like 'C%' as is_note
    from history
),
customers as (
    select customer_id,
        coalesce(sum(quantity * unit_price) filter (is_note or (is_sale and quantity > 0)), 0) as value
    from lines
    where customer_id is not null
    group by customer_id
),
goods as (
    select sku, bool_or(is_sale and quantity > 0 and unit_price > 0) as has_price,
        100 + coalesce(sum(quantity) filter (is_sale and quantity <= 0), 0) as left_over
    from lines
    where sku not in (
        'POST', 'DOT', 'M', 'C2', 'D', 'S', 'BANK CHARGES', 'ADJUST', 'AMAZONFEE', 'CRUK', 'TEST001', 'B', 'ADJUST2',
        'TEST002', 'C3', 'GIFT'
    )
    group by sku
)
select class, count
from (
    select 'value_below_zero' as class, count(*) as count from customers where value < 0
    union all
    select 'orders_without_person', count(distinct invoice_no)
    from lines
    where customer_id is null and (is_note or (is_sale and quantity > 0))
    union all
    select 'documents_add_up', count(distinct invoice_no) from lines where is_note and quantity > 0
    union all
    select 'no_price', count(*) from goods where not has_price
    union all
    select 'negative_availability', count(*) from goods where left_over < 0
)
where count > 0
