-- Sales lines to send: per document the difference, as a multiset of (item, price, quantity), between what is desired and
-- what was accepted. A positive `difference` is new lines, a negative one reversals of accepted lines.
-- `lines_used` and `reversals_used` are the highest ordinals that are taken.
-- `sent_to` is where the contact is now whom a line went to that is to be taken back.
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
        count(*) filter (outcome = 'accepted' and not reversal) - count(*) filter (outcome = 'accepted' and reversal)
            as accepted,
        count(*) filter (dead and not reversal) as dead,
        count(*) filter (dead and reversal) as dead_reversals,
        max(ordinal) filter (outcome in ('accepted', 'unknown') and not reversal) as lines_used,
        max(ordinal) filter (outcome in ('accepted', 'unknown') and reversal) as reversals_used,
        any_value(payload) filter (outcome = 'accepted' and not reversal) as example
    from (
        select
            records.*, cast(payload->>'reversal' as boolean) as reversal,
            cast(regexp_extract(records.key, '[+-](\d+)$', 1) as integer) as ordinal,
            letters.record_id is not null as dead
        from delivery.records as records
        left join delivery.dead_letters as letters
            on letters.record_id = records.record_id and coalesce(letters.closed_by, 'dropped') = 'dropped'
        where records.flow = 'sales' and records.erased_at is null -- what an erased person had stays as it is at Emarsys
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
        coalesce(desired."order", sent.example->>'order') as "order",
        coalesce(strftime(desired."timestamp", '%Y-%m-%dT%H:%M:%SZ'), sent.example->>'timestamp') as "timestamp",
        coalesce(desired.email, sent.example->>'email') as email,
        sent.example,
        case -- dead letters wait for a person; they are neither sent again nor made up for
            when coalesce(desired.times, 0) >= coalesce(sent.accepted, 0)
                then greatest(coalesce(desired.times, 0) - coalesce(sent.accepted, 0) - coalesce(sent.dead, 0), 0)
            else least(coalesce(desired.times, 0) - coalesce(sent.accepted, 0) + coalesce(sent.dead_reversals, 0), 0)
        end as difference,
        coalesce(sent.accepted, 0) as accepted,
        coalesce(sent.lines_used, 0) as lines_used,
        coalesce(sent.reversals_used, 0) as reversals_used
    from desired
    full join sent
        on sent.document = desired.document and sent.item = desired.item and sent.price = desired.price
        and sent.quantity = desired.quantity
)
select
    compared.* replace (cast(price as varchar) as price, cast(quantity as varchar) as quantity), -- JSON would round them
    coalesce(moved.moved_to, compared.example->>'email') as sent_to,
    compared.document in (select document from frozen) as frozen,
    contacts.accepted_at is null or contacts.accepted_at > $settled_before as waits,
    contacts.accepted_at
from compared
left join delivery.delivered as contacts on contacts.flow = 'contacts' and contacts.key = compared.email
left join staging.sent_contacts as moved on moved.email = (compared.example->>'email')
where difference > 0 or (difference < 0 and accepted > 0)
order by document, item, compared.price, compared.quantity
