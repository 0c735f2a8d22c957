-- grain: one row per sale with an invoice that counts
-- key: sale_id
-- meaning: Purchases: sales that were invoiced, and not given back whole.
-- figure gross: coalesce(sum(gross), 0)
-- figure net: coalesce(sum(net), 0)
-- figure purchases: count(*) filter (is_purchase)
-- figure newest: max(invoiced_on)
-- @column sale_id: The sale.
-- @column order_number: Number of the order.
-- @column person_id: Whose it is.
-- @column email: E-mail of that person.
-- @column customer_id: Customer account.
-- @column ordered_on: Date of the order, or of its first invoice.
-- @column invoiced_on: Date of its first invoice.
-- @column currency: Currency of its documents.
-- @column items: Units invoiced.
-- @column goods: Counted value invoiced, in its currency.
-- @column goods_refunded: Counted value credited, in its currency.
-- @column gross: Counted value invoiced, in the currency of the books.
-- @column refunded: Counted value credited on this sale, in the currency of the books.
-- @column net: The one less the other.
-- @column is_purchase: False where nothing of value was invoiced, or all was credited.
-- @column kind: purchase, fully_refunded, over_refunded (more was credited than invoiced) or no_value.
-- @column source_channel: Where the order came from.
with invoiced as (
    select sale_id, any_value(order_number) as order_number, any_value(person_id) as person_id,
        any_value(email) as email, any_value(customer_id) as customer_id, min(dated_on) as invoiced_on,
        any_value(currency) as currency, sum(items) as items, sum(goods) as goods, sum(net) as gross,
        bool_or(goods > 0) as has_value
    from mart.documents
    where document_kind = 'invoice'
    group by sale_id
),
credited as (
    select sale_id, sum(goods) as goods, sum(net) as refunded
    from mart.documents
    where document_kind = 'credit_note' and not is_standalone
    group by sale_id
)
select
    invoiced.sale_id,
    invoiced.order_number,
    invoiced.person_id,
    invoiced.email,
    invoiced.customer_id,
    coalesce(sales.ordered_on, invoiced.invoiced_on) as ordered_on,
    invoiced.invoiced_on,
    invoiced.currency,
    cast(invoiced.items as decimal(18, 4)) as items,
    cast(invoiced.goods as decimal(18, 4)) as goods,
    cast(coalesce(credited.goods, 0) as decimal(18, 4)) as goods_refunded,
    cast(invoiced.gross as decimal(18, 4)) as gross,
    cast(coalesce(credited.refunded, 0) as decimal(18, 4)) as refunded,
    cast(invoiced.gross - coalesce(credited.refunded, 0) as decimal(18, 4)) as net,
    has_value and coalesce(credited.goods, 0) < invoiced.goods as is_purchase,
    case
        when not has_value then 'no_value'
        when coalesce(credited.goods, 0) > invoiced.goods then 'over_refunded'
        when coalesce(credited.goods, 0) = invoiced.goods then 'fully_refunded'
        else 'purchase'
    end as kind,
    sales.source_channel
from invoiced
join staging.sales as sales on sales.sale_id = invoiced.sale_id
left join credited on credited.sale_id = invoiced.sale_id
