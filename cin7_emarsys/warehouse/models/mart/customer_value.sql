-- grain: one row per person
-- key: person_id
-- meaning: Lifetime value and order history of every person, worked out from documents, net of refunds and tax.
-- figure ltv: coalesce(sum(ltv), 0)
-- figure gross: coalesce(sum(gross), 0)
-- figure refunded: coalesce(sum(refunded), 0)
-- figure repeat_customers: count(*) filter (order_count > 1)
-- figure newest: max(last_order_date)
-- @column person_id: The person.
-- @column email: The e-mail, if there is one.
-- @column customer_type: prospect, new, repeat or wholesale.
-- @column first_order_date: Date of the first purchase.
-- @column last_order_date: Date of the last purchase.
-- @column order_count: Purchases, those given back whole not counted.
-- @column items: Units bought in them.
-- @column gross: Value of all invoices.
-- @column refunded: Value of all credit notes.
-- @column ltv: Lifetime value: the one less the other.
-- @column average_order_value: Value invoiced in purchases, divided by their number.
-- @column favourite_category: Category most was spent in.
-- @column refund_count: Number of credit notes.
-- @column last_refund_date: Date of the last one.
-- @column open_orders: Orders authorised and not yet invoiced.
-- @column currency: Currency of all amounts.
-- @column is_wholesale: Buys wholesale.
with bought as (
    select person_id,
        min(ordered_on) filter (is_purchase) as first_order_date,
        max(ordered_on) filter (is_purchase) as last_order_date,
        count(*) filter (is_purchase) as order_count,
        sum(items) filter (is_purchase) as items,
        sum(gross) filter (is_purchase) as purchased,
        sum(gross) as gross
    from mart.purchases
    where person_id is not null
    group by person_id
),
returned as (
    select person_id, sum(refunded) as refunded, count(*) as refund_count, max(refunded_on) as last_refund_date
    from mart.refunds
    where person_id is not null
    group by person_id
),
waiting as (
    select person_id, count(*) as open_orders from mart.open_orders where person_id is not null group by person_id
),
spent as (
    select purchases.person_id, products.category, sum(lines.net_base) as net
    from mart.purchases as purchases
    join staging.invoices as invoices on invoices.sale_id = purchases.sale_id and invoices.is_counted
    join staging.document_lines as lines
        on lines.document_kind = 'invoice' and lines.document_id = invoices.document_id
    join staging.products as products on products.product_id = lines.product_id and products.category is not null
    where purchases.is_purchase and purchases.person_id is not null
    group by all
),
favourite as (
    select person_id, category
    from spent
    where net > 0
    qualify row_number() over (partition by person_id order by net desc, category) = 1
)
select
    persons.person_id,
    persons.email,
    case
        when persons.is_wholesale then 'wholesale'
        when coalesce(bought.order_count, 0) + coalesce(waiting.open_orders, 0) = 0 then 'prospect'
        when coalesce(bought.order_count, 0) + coalesce(waiting.open_orders, 0) = 1 then 'new'
        else 'repeat'
    end as customer_type,
    bought.first_order_date,
    bought.last_order_date,
    coalesce(bought.order_count, 0) as order_count,
    cast(coalesce(bought.items, 0) as decimal(18, 4)) as items,
    cast(coalesce(bought.gross, 0) as decimal(18, 4)) as gross,
    cast(coalesce(returned.refunded, 0) as decimal(18, 4)) as refunded,
    cast(coalesce(bought.gross, 0) - coalesce(returned.refunded, 0) as decimal(18, 4)) as ltv,
    cast(
        cast(bought.purchased as double) / nullif(bought.order_count, 0) as decimal(28, 8) -- rounded once, at export
    ) as average_order_value,
    favourite.category as favourite_category,
    coalesce(returned.refund_count, 0) as refund_count,
    returned.last_refund_date,
    coalesce(waiting.open_orders, 0) as open_orders,
    tenant.currency,
    persons.is_wholesale
from mart.persons as persons
cross join staging.tenant as tenant
left join bought on bought.person_id = persons.person_id
left join returned on returned.person_id = persons.person_id
left join waiting on waiting.person_id = persons.person_id
left join favourite on favourite.person_id = persons.person_id
