-- Sales lines to send: per document the difference, as a multiset of (item, price, quantity), between what is desired and
-- what was accepted. A positive `difference` is so many new lines, the first of them with this `ordinal`. -1 is the reversal
-- of one accepted line that stands, `example`; it takes that line's ordinal, so that -2 always takes back +2.
-- `sent_to` is where the contact is now whom that line went to.
-- `waits` and `frozen` lines are not sent: their contact is not settled, or a line of the document is unknown.
-- Parameter: $settled_before (UTC).
with desired as (
    select document_kind || ':' || document_id as document, item, price, quantity, count(*) as times,
        any_value("order") as "order", any_value("timestamp") as "timestamp", any_value(email) as email
    from mart.sales_lines
    group by all
),
sent as (
    select document, payload->>'base_item' as item, cast(payload->>'base_price' as decimal(18, 4)) as price,
        cast(payload->>'base_quantity' as decimal(18, 4)) as quantity,
        -- what an erased person had stays as it is at Emarsys: it is there, perhaps, and is never taken back
        count(*) filter ((outcome = 'accepted' or is_gone and outcome = 'unknown') and not reversal)
            - count(*) filter (outcome = 'accepted' and reversal) as accepted,
        count(*) filter (dead and not reversal) as dead,
        count(*) filter (dead and reversal) as dead_reversals,
        max(ordinal) filter (outcome in ('accepted', 'unknown') and not reversal) as lines_used,
        max(record_id) filter (not reversal) as newest,
        list({'ordinal': ordinal, 'record_id': record_id}) filter (outcome = 'accepted' and not reversal and not is_gone)
            as lines,
        coalesce(list(ordinal) filter (reversal and (outcome = 'accepted' or dead)), []) as taken_back
    from (
        select
            records.*, cast(payload->>'reversal' as boolean) as reversal,
            cast(regexp_extract(records.key, '[+-](\d+)$', 1) as integer) as ordinal,
            letters.record_id is not null and records.erased_at is null as dead, records.erased_at is not null as is_gone
        from delivery.records as records
        left join delivery.dead_letters as letters
            on letters.record_id = records.record_id and coalesce(letters.closed_by, 'dropped') = 'dropped'
        where records.flow = 'sales'
    )
    group by all
),
frozen as (select distinct document from delivery.records where flow = 'sales' and outcome = 'unknown' and erased_at is null),
compared as (
    select
        coalesce(desired.document, sent.document) as document,
        coalesce(desired.item, sent.item) as item,
        coalesce(desired.price, sent.price) as price,
        coalesce(desired.quantity, sent.quantity) as quantity,
        desired."order", desired."timestamp", desired.email,
        case -- dead letters wait for a person; they are neither sent again nor made up for
            when coalesce(desired.times, 0) >= coalesce(sent.accepted, 0)
                then greatest(coalesce(desired.times, 0) - coalesce(sent.accepted, 0) - coalesce(sent.dead, 0), 0)
            else least(coalesce(desired.times, 0) - coalesce(sent.accepted, 0) + coalesce(sent.dead_reversals, 0), 0)
        end as difference,
        coalesce(sent.lines_used, 0) as lines_used, sent.newest, sent.lines, sent.taken_back
    from desired
    full join sent
        on sent.document = desired.document and sent.item = desired.item and sent.price = desired.price
        and sent.quantity = desired.quantity
    where difference <> 0
),
planned as (
    select
        document, item, price, quantity, "order", "timestamp", email, greatest(difference, -1) as difference,
        unnest(
            case when difference > 0 then [{'ordinal': lines_used + 1, 'record_id': newest}]
            else list_sort(list_filter(lines, lambda line: not list_contains(taken_back, line.ordinal)))[: -difference] end,
            recursive := true
        )
    from compared
)
select
    planned.document, planned.item,
    cast(planned.price as varchar) as price, cast(planned.quantity as varchar) as quantity, -- JSON would round them
    coalesce(planned."order", examples.payload->>'order') as "order",
    coalesce(strftime(planned."timestamp", '%Y-%m-%dT%H:%M:%SZ'), examples.payload->>'timestamp') as "timestamp",
    coalesce(planned.email, examples.payload->>'email') as email,
    planned.difference, planned.ordinal, examples.payload as example,
    coalesce(moved.moved_to, examples.payload->>'email') as sent_to,
    planned.document in (select document from frozen) as frozen,
    contacts.accepted_at is null or contacts.accepted_at > $settled_before as waits
from planned
left join delivery.records as examples on examples.record_id = planned.record_id
left join delivery.delivered as contacts
    on contacts.flow = 'contacts'
    and contacts.key = coalesce(case when difference > 0 then planned.email end, examples.payload->>'email')
left join staging.sent_contacts as moved on moved.email = (examples.payload->>'email')
order by planned.document, planned.item, planned.price, planned.quantity, planned.ordinal
