-- What happened to one order and what Emarsys was told of it, newest first. Parameters: $sale_id, $number, $limit.
-- @column at: When (UTC).
-- @column kind: snapshot (what Cin7 said), decision, payload or answer.
-- @column says: In words.
-- @column detail: The figures; null where there are none.
select "at", kind, says, detail
from (
    select recorded_at as "at", 'snapshot' as kind, 'Seen in Cin7: ' || replace(fact, '_', ' ') as says,
        case when silent then 'known from the first reading: no event' end as detail
    from mart.order_facts
    where sale_id = $sale_id
    union all
    select fact_at, 'decision',
        'Event ' || replace(event, '_', ' ') || case when excluded is null then ' is to go' else ' does not go' end,
        replace(excluded, '_', ' ')
    from mart.order_events
    where sale_id = $sale_id
    union all
    select records."at",
        'payload',
        concat_ws(
            ': ',
            records.flow,
            case records.flow
                when 'sales' then coalesce((records.payload->>'quantity') || ' × ', '') || (records.payload->>'item')
                when 'events' then replace(split_part(records.key, ':', 1), '_', ' ')
            end,
            coalesce(records.outcome, 'on its way') || coalesce(format(' (HTTP {:d})', batches.status), '')
                || format(', batch {:d}', records.batch_id)
        ),
        coalesce(records.code || ' ' || records.reason || ' – ', '') || records.payload::varchar
    from delivery.records as records
    join delivery.batches as batches on batches.batch_id = records.batch_id
    where records.flow in ('sales', 'events')
        and ((records.payload->>'order') = $number or (records.payload->'data'->>'order') = $number)
)
order by "at" desc nulls last, kind
limit $limit
