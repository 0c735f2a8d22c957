-- grain: one row per flow
-- key: flow
-- meaning: Where every source row of a flow is: left out by a rule, at Emarsys, or still on its way. Source rows are
-- counted where they come from, so that a row that is in none of the others shows.
-- @column flow: contacts, catalogue, sales or events.
-- @column source: Source rows: persons and contacts, products and items kept, lines of documents, facts about orders.
-- @column excluded: Of these, left out by a named rule.
-- @column eligible: Of these, to be at Emarsys.
-- @column unaccounted: Source rows that are neither; always 0.
-- @column accepted: Of the eligible, accepted in their present form or an earlier one; of the catalogue, published.
-- @column rejected: Of the eligible, refused by Emarsys and waiting for a person.
-- @column unknown: Of the eligible, sent without a trustworthy answer.
-- @column open: Of the eligible, not sent yet or to be sent again; below 0 something went twice.
with sources as (
    select 'contacts' as flow,
        (select count(*) from mart.persons) + (
            select count(*)
            from staging.contacts as contacts
            join staging.customers as customers on customers.customer_id = contacts.customer_id
            where not contacts.is_valid or customers.is_generic
        ) as source,
        (select count(*) from mart.contacts) as eligible
    union all
    select 'catalogue',
        (select count(*) from staging.products) + (
            select count(*)
            from mart.catalogue as listed
            where not exists (
                from staging.products as products
                where products.sku = listed.item and products.product_id = listed.product_id
            )
        ),
        (select count(*) from mart.catalogue)
    union all
    select 'sales',
        (
            select count(*)
            from mart.documents as documents
            join staging.document_lines as lines
                on lines.document_kind = documents.document_kind and lines.document_id = documents.document_id
                and not lines.is_charge
        ),
        (select count(*) from mart.sales_lines)
    union all
    select 'events',
        (select count(*) from mart.order_facts where event is not null),
        (select count(*) from mart.order_events where excluded is null)
),
left_out as (select flow, count(*) as excluded from mart.excluded group by flow),
latest as (select flow, key, arg_max(outcome, record_id) as outcome from delivery.records group by flow, key),
fates as (
    select eligible.flow,
        count(*) filter (delivered.key is not null or latest.outcome = 'accepted') as accepted,
        count(*) filter (delivered.key is null and latest.outcome = 'rejected') as rejected,
        count(*) filter (delivered.key is null and latest.outcome = 'unknown') as unknown
    from (
        select 'contacts' as flow, email as key from mart.contacts
        union all
        select 'events', trigger_id from mart.order_events where excluded is null
    ) as eligible
    left join latest on latest.flow = eligible.flow and latest.key = eligible.key
    left join delivery.delivered as delivered on delivered.flow = eligible.flow and delivered.key = eligible.key
    group by eligible.flow
    union all
    select 'catalogue', count(*), 0, 0
    from mart.catalogue as listed
    join delivery.catalogue_items as items on items.item = listed.item
    union all
    -- a reversal takes back a line that was accepted; while its fate is unknown so is the line's
    select 'sales',
        count(*) filter (outcome = 'accepted' and not reversal) - count(*) filter (outcome = 'accepted' and reversal),
        count(*) filter (outcome = 'rejected' and not reversal),
        count(*) filter (outcome = 'unknown' and not reversal)
    from (
        select outcome, coalesce(cast(payload->>'reversal' as boolean), false) as reversal
        from delivery.records
        where flow = 'sales' and erased_at is null
    )
)
select
    sources.flow,
    sources.source,
    coalesce(left_out.excluded, 0) as excluded,
    sources.eligible,
    sources.source - sources.eligible - coalesce(left_out.excluded, 0) as unaccounted,
    coalesce(fates.accepted, 0) as accepted,
    coalesce(fates.rejected, 0) as rejected,
    coalesce(fates.unknown, 0) as unknown,
    sources.eligible - coalesce(fates.accepted + fates.rejected + fates.unknown, 0) as open
from sources
left join left_out on left_out.flow = sources.flow
left join fates on fates.flow = sources.flow
