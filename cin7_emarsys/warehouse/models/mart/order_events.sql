-- grain: one row per business fact that is an event
-- key: trigger_id
-- feedback: delivery.records
-- meaning: Events for Emarsys, each once, with what a mail about it needs; or why it must not go.
-- figure to_send: count(*) filter (excluded is null)
-- figure newest: max(fact_at)
-- @column trigger_id: The business fact; Emarsys drops a second event with the same id.
-- @column event: first_purchase, repeat_purchase, order_shipped, order_backordered, refund_issued or order_cancelled.
-- @column kind: transactional, or marketing (goes only with consent).
-- @column sale_id: The sale.
-- @column email: Whom it goes to.
-- @column fact_at: When it happened, by Cin7's clock (UTC).
-- @column deadline_at: After this it is too late.
-- @column data: Order number, lines, carrier, refund: what the mail shows. Null long after the deadline.
-- @column excluded: Why it does not go: erased (the person was), no_email, switched_off, undone (it is true no more, and nobody
-- was told), too_late; null where it goes.
with events as (
    select
        facts.fact_id as trigger_id, facts.event, settings.kind, facts.sale_id, persons.email, facts.fact_at,
        facts.fact_at + to_hours(settings.deadline_hours) as deadline_at, facts.fact, facts.document_id,
        persons.order_number, persons.rule = 'erased' as is_erased, tenant.as_of, settings.enabled,
        exists (
            from delivery.records as sent
            where sent.flow = 'events' and sent.key = facts.fact_id
                and coalesce(sent.outcome, 'unknown') in ('accepted', 'unknown')
        ) as is_sent
    from mart.order_facts as facts
    cross join staging.tenant as tenant
    join policy.events as settings on settings.event = facts.event
    left join mart.sale_persons as persons on persons.sale_id = facts.sale_id
    where not facts.silent
),
live as (select * from events where deadline_at > as_of - interval 14 days),
billed as (
    select live.trigger_id, 'invoice' as document_kind, invoices.document_id
    from live
    join staging.invoices as invoices on invoices.sale_id = live.sale_id and invoices.is_counted
    where live.fact = 'purchase'
    union all
    select trigger_id, 'credit_note', document_id from live where fact = 'refund_issued'
),
parts as (
    select billed.trigger_id, lines.line_no, lines.product_id, lines.sku, lines.title, lines.quantity, lines.net as price
    from billed
    join staging.document_lines as lines
        on lines.document_kind = billed.document_kind and lines.document_id = billed.document_id
        and not lines.is_charge
    union all
    select live.trigger_id, lines.line_no, lines.product_id, lines.sku, null, lines.quantity, null
    from live
    join staging.pick_lines as lines
        on lines.sale_id = live.sale_id and cast(lines.fulfilment_no as varchar) = live.document_id and lines.is_shipped
    where live.fact = 'order_shipped'
    union all
    select live.trigger_id, lines.line_no, lines.product_id, lines.sku, lines.title,
        case live.fact when 'order_backordered' then lines.backorder_quantity else lines.quantity end, null
    from live
    join staging.order_lines as lines on lines.sale_id = live.sale_id
    where live.fact = 'order_cancelled' or (live.fact = 'order_backordered' and lines.backorder_quantity > 0)
),
listed as (
    select
        parts.trigger_id,
        list({
            'sku': coalesce(products.sku, parts.sku),
            'title': coalesce(products.title, parts.title),
            'quantity': case
                when parts.quantity = floor(parts.quantity) then cast(cast(parts.quantity as bigint) as varchar)
                else cast(parts.quantity as varchar)
            end,
            'price': cast(cast(parts.price as decimal(18, 2)) as varchar),
            'image': items.image,
            'link': items.link
        } order by parts.line_no, parts.sku) as lines
    from parts
    left join staging.products as products on products.product_id = parts.product_id
    left join mart.catalogue as items on items.item = products.sku
    group by parts.trigger_id
)
select
    events.trigger_id,
    events.event,
    events.kind,
    events.sale_id,
    events.email,
    events.fact_at,
    events.deadline_at,
    case when live.trigger_id is not null then to_json({
        'order': events.order_number,
        'currency': coalesce(refunds.currency, sales.currency),
        'lines': coalesce(listed.lines, []),
        'total': cast(cast(purchases.goods as decimal(18, 2)) as varchar),
        'carrier': parcels.carrier,
        'tracking_number': parcels.tracking_number,
        'tracking_url': parcels.tracking_url,
        'refund': cast(cast(refunds.goods as decimal(18, 2)) as varchar),
        'credit_note': refunds.number
    }) end as data,
    case
        when events.is_erased then 'erased'
        when events.email is null then 'no_email'
        when not events.enabled then 'switched_off'
        when events.is_sent then null
        when not case events.fact
            when 'purchase' then coalesce(purchases.is_purchase, false)
            when 'order_shipped' then coalesce(parcels.is_shipped and not sales.is_void, false)
            when 'order_backordered' then coalesce(sales.status = 'BACKORDERED', false)
            when 'refund_issued' then coalesce(refunds.goods > 0, false)
            else true
        end then 'undone'
        when events.deadline_at < events.as_of then 'too_late'
    end as excluded
from events
left join live on live.trigger_id = events.trigger_id
left join listed on listed.trigger_id = events.trigger_id
left join staging.sales as sales on sales.sale_id = events.sale_id
-- one plain equality each: a condition on the left side alone would make these nested loops
left join mart.purchases as purchases on purchases.sale_id = case when events.fact = 'purchase' then events.sale_id end
left join staging.fulfilments as parcels
    on parcels.sale_id = case when events.fact = 'order_shipped' then events.sale_id end
    and cast(parcels.fulfilment_no as varchar) = events.document_id
left join mart.refunds as refunds
    on refunds.document_id = case when events.fact = 'refund_issued' then events.document_id end
