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
-- @column kind: purchase, fully_refunded (but for what rounding each line can make of it), over_refunded (more was
-- credited than invoiced) or no_value.
-- @column source_channel: Where the order came from.
with invoiced as (
    select sale_id, any_value(order_number) as order_number, any_value(person_id) as person_id,
        any_value(email) as email, any_value(customer_id) as customer_id, min(dated_on) as invoiced_on,
        any_value(currency) as currency, sum(items) as items, sum(goods) as goods, sum(net) as gross,
        sum(entries) as entries, bool_or(goods > 0) as has_value
    from mart.documents
    where document_kind = 'invoice'
    group by sale_id
),
credited as (
    select sale_id, sum(goods) as goods, sum(net) as refunded, sum(entries) as entries
    from mart.documents
    where document_kind = 'credit_note' and not is_standalone
    group by sale_id
),
compared as (
    select
        invoiced.*,
        coalesce(credited.goods, 0) as goods_refunded,
        coalesce(credited.refunded, 0) as refunded,
        -- given back in pieces, a purchase is rounded piece by piece
        case when credited.goods > 0 then 0.005 * (invoiced.entries + credited.entries) + 0.01 else 0 end as slack,
        case
            when not has_value then 'no_value'
            when goods_refunded > invoiced.goods + slack then 'over_refunded'
            when goods_refunded >= invoiced.goods - slack then 'fully_refunded'
            else 'purchase'
        end as kind
    from invoiced
    left join credited on credited.sale_id = invoiced.sale_id
)
select
    compared.sale_id,
    compared.order_number,
    compared.person_id,
    compared.email,
    compared.customer_id,
    coalesce(sales.ordered_on, compared.invoiced_on) as ordered_on,
    compared.invoiced_on,
    compared.currency,
    cast(compared.items as decimal(18, 4)) as items,
    cast(compared.goods as decimal(18, 4)) as goods,
    cast(compared.goods_refunded as decimal(18, 4)) as goods_refunded,
    cast(compared.gross as decimal(18, 4)) as gross,
    cast(compared.refunded as decimal(18, 4)) as refunded,
    cast(compared.gross - compared.refunded as decimal(18, 4)) as net,
    compared.kind = 'purchase' as is_purchase,
    compared.kind,
    sales.source_channel
from compared
join staging.sales as sales on sales.sale_id = compared.sale_id
