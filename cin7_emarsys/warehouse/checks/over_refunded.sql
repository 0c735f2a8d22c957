-- title: Orders of which more was credited than invoiced: {rows}
-- assets: mart.purchases
-- severity: warn
-- key: order_number
-- owner: finance
-- means: These orders cost more than they brought, or a credit note was entered twice.
-- of: mart.purchases
-- next_step: Look at their credit notes in Cin7 (one entered twice, or for another order); they count as they are.
select order_number, customer_id, currency, goods as invoiced, goods_refunded as credited
from mart.purchases
where kind in ('over_refunded', 'no_value') and goods_refunded > goods
order by goods_refunded - goods desc, order_number
