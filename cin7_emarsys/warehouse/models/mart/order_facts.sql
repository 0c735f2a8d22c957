-- grain: one row per fact about an order, kept for ever
-- key: fact_id
-- materialize: append
-- feedback: mart.order_facts
-- meaning: What happened to orders and when we first knew. A sale of the first reading sets what it shows then silently;
-- whatever is new later is an event. First or repeat is decided once, here.
-- @column fact_id: The business fact; the trigger id of its event.
-- @column fact: purchase, order_shipped, order_backordered, refund_issued, order_cancelled, invoiced, credited or seen.
-- @column event: The event it makes; null for facts that are only remembered.
-- @column sale_id: The sale.
-- @column document_id: The document, the fulfilment number, or null.
-- @column fact_at: When the sale was changed by it, by Cin7's clock (UTC).
-- @column recorded_at: When it was first seen here, by Cin7's clock (UTC).
-- @column silent: Known from the first reading: never an event.
-- @column absorbed: Silent, though it may have happened after the first reading began.
with known as (select fact_id, sale_id, silent, event from mart.order_facts),
facts as (
    select 'seen:' || sale_id as fact_id, 'seen' as fact, null as event, sale_id, null as document_id, false as standalone
    from staging.sales
    where has_detail and in_first_scan and is_listed
    union all
    select 'invoiced:' || document_id, 'invoiced', null, sale_id, document_id, false
    from mart.documents
    where document_kind = 'invoice'
    union all -- also a note over nothing, whose goods go to Emarsys though no refund is told
    select 'credited:' || document_id, 'credited', null, sale_id, document_id, is_standalone
    from mart.refunds
    union all
    select 'purchase:' || sale_id, 'purchase', 'purchase', sale_id, null, false
    from mart.purchases
    where is_purchase
    union all
    select 'order_shipped:' || sale_id || ':' || fulfilment_no, 'order_shipped', 'order_shipped', sale_id,
        cast(fulfilment_no as varchar), false
    from staging.fulfilments
    join staging.sales using (sale_id)
    where is_shipped and not is_void and is_listed
    union all
    select 'order_backordered:' || sale_id, 'order_backordered', 'order_backordered', sale_id, null, false
    from staging.sales
    where status = 'BACKORDERED' and has_detail and is_listed
    union all
    select 'refund_issued:' || document_id, 'refund_issued', 'refund_issued', sale_id, document_id, is_standalone
    from mart.refunds
    where goods > 0
    union all
    select 'order_cancelled:' || sale_id, 'order_cancelled', 'order_cancelled', sale_id, null, false
    from staging.sales
    where is_void and sale_id in (select sale_id from known where not silent and event is not null)
),
fresh as (select * from facts where not exists (from known where known.fact_id = facts.fact_id)),
notes as (select lower(SaleID) as sale_id, max(Updated) as updated_at from raw.credit_note_headers group by all),
dated as (
    select
        fresh.*,
        least(coalesce(sales.updated_at, notes.updated_at, tenant.as_of), tenant.as_of) as fact_at,
        tenant.as_of,
        tenant.baseline,
        tenant.history_complete,
        case
            when fresh.standalone
                then coalesce(notes.updated_at <= tenant.baseline, true)
                    or refunds.refunded_on
                        < cast((tenant.baseline at time zone 'UTC') at time zone tenant.time_zone as date)
            else coalesce(sales.in_first_scan, false)
                and not exists (from known where known.fact_id = 'seen:' || fresh.sale_id)
        end as silent
    from fresh
    cross join staging.tenant as tenant
    left join staging.sales as sales on sales.sale_id = fresh.sale_id
    -- one plain equality each: a condition on the left side alone would make these nested loops
    left join notes on notes.sale_id = case when fresh.standalone then fresh.sale_id end
    left join mart.refunds as refunds
        on refunds.document_id = case when fresh.fact in ('refund_issued', 'credited') then fresh.document_id end
),
-- Silent facts are noted while the history is being read; events wait until it is whole.
due as (select * from dated where silent or history_complete),
buyers as (
    select purchases.sale_id, purchases.person_id, purchases.ordered_on,
        exists (from known where known.fact_id = 'purchase:' || purchases.sale_id) as is_known
    from mart.purchases as purchases
    where purchases.is_purchase and purchases.person_id is not null
),
repeats as (
    select sale_id,
        row_number() over (partition by person_id order by is_known desc, ordered_on, sale_id) > 1 as is_repeat
    from buyers
)
select
    due.fact_id,
    due.fact,
    case
        when due.event <> 'purchase' then due.event
        when due.event = 'purchase' and coalesce(repeats.is_repeat, false) then 'repeat_purchase'
        when due.event = 'purchase' then 'first_purchase'
    end as event,
    due.sale_id,
    due.document_id,
    due.fact_at,
    due.as_of as recorded_at,
    due.silent,
    due.silent and coalesce(due.fact_at > due.baseline, false) and due.fact <> 'seen' as absorbed
from due
left join repeats on repeats.sale_id = due.sale_id
