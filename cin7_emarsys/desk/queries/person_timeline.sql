-- What was sent for one person and what Emarsys said, newest first. Parameters: $email, $person_id, $limit.
-- @column at: When (UTC).
-- @column kind: decision, payload or answer.
-- @column says: In words.
-- @column detail: The payload and the vendor's reason.
select "at", kind, says, detail
from (
    select changed_at as "at", 'decision' as kind, 'Value changed: ' || reason as says,
        format('{:+.2f}', difference::double) as detail
    from mart.customer_value_changes
    where person_id = $person_id
    union all
    select records."at", 'payload',
        concat_ws(
            ': ',
            records.flow,
            case records.flow
                when 'sales' then coalesce((records.payload->>'quantity') || ' × ', '') || (records.payload->>'item')
                    || ', order ' || (records.payload->>'order')
                when 'events' then replace(split_part(records.key, ':', 1), '_', ' ')
                    || ', order ' || (records.payload->'data'->>'order')
            end,
            coalesce(records.outcome, 'on its way') || coalesce(format(' (HTTP {:d})', batches.status), '')
                || format(', batch {:d}', records.batch_id)
        ),
        coalesce(records.code || ' ' || records.reason || ' – ', '') || records.payload::varchar
    from delivery.records as records
    join delivery.batches as batches on batches.batch_id = records.batch_id
    where (records.flow = 'contacts' and records.key = $email)
        or (records.flow in ('sales', 'events')
            and ((records.payload->>'email') = $email or (records.payload->>'external_id') = $email))
    union all
    select read_at, 'answer',
        case when found then 'Read back: Emarsys has the contact' else 'Read back: Emarsys does not have the contact' end,
        fields::varchar
    from reconciliation.contacts_read
    where email = $email
)
order by "at" desc nulls last, kind
limit $limit
