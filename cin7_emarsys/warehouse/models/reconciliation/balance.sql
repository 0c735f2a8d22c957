-- grain: one row per flow and day
-- key: flow, day
-- feedback: reconciliation.balance
-- meaning: Where every source row of a flow is: left out by a named rule, at Emarsys as it was, sent with one of four
-- outcomes since the day before, or still on its way. Source rows are counted where they come from, so that a row that is
-- in none of the others shows. Days gone by stay as they were seen last.
-- figure open: coalesce(sum(open) filter (day = (select max(b.day) from reconciliation.balance as b)), 0)
-- @column flow: contacts, catalogue, sales or events.
-- @column day: Day on which this was counted (UTC).
-- @column from_at: End of what the day before counted as sent (UTC).
-- @column until_at: End of what this one counts (UTC).
-- @column source: Source rows: persons and contacts, products and items kept, lines of documents, facts about orders.
-- @column excluded: Of these, left out by a named rule.
-- @column excluded_by: How many by each rule.
-- @column eligible: Of these, to be at Emarsys.
-- @column unaccounted: Source rows that are neither; always 0.
-- @column unchanged: Of the eligible, accepted before from_at; of the catalogue, published as it is before then.
-- @column sent: Of the eligible, sent since from_at: the sum of the four outcomes, the last one of each record.
-- @column accepted: Of these, accepted; of the catalogue, published.
-- @column rejected: Of these, refused by Emarsys.
-- @column retryable: Of these, certainly not applied; they go again.
-- @column unknown: Of these, sent without a trustworthy answer.
-- @column parked: Of the eligible, refused or in doubt since before from_at: they wait for a person.
-- @column open: Of the eligible, not sent yet; below 0 something went twice.
with wanted as (
    -- a mail that waits for consent goes when it comes, until its deadline
    select events.trigger_id,
        events.kind = 'marketing' and read.email is not null and read.opt_in is distinct from '1'
        and not exists (from delivery.records as records where records.flow = 'events' and records.key = events.trigger_id)
        as no_consent
    from mart.order_events as events
    left join reconciliation.contacts_read as read on read.email = events.email and read.ours and read.found
    where events.excluded is null
),
due as (select trigger_id from wanted where not no_consent),
sources as (
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
        (select count(*) from due)
),
left_out as (
    select flow, sum(n) as excluded, json_group_object(rule, n) as excluded_by
    from (
        select flow, rule, count(*) as n from mart.excluded group by all
        union all
        select 'events', 'no_consent', count(*) from wanted where no_consent having count(*) > 0
    )
    group by flow
),
span as (
    select cast(tenant.as_of as date) as day,
        coalesce(
            (select max(until_at) from reconciliation.balance where day < cast(tenant.as_of as date)), timestamp '1970-01-01'
        ) as from_at,
        greatest(tenant.as_of, (select max("at") from delivery.records)) as until_at
    from staging.tenant as tenant
),
latest as (
    select flow, key, arg_max(outcome, record_id) as outcome, arg_max("at", record_id) as "at"
    from delivery.records
    where flow <> 'sales'
    group by flow, key
),
published as (
    select items.item as key, max(publications.published_at) as "at"
    from delivery.catalogue_items as items
    left join delivery.catalogue_history as history on history.item = items.item and history.until_version is null
    left join delivery.publications as publications on publications.version = history.version
    group by items.item
),
single as (
    select eligible.flow,
        case
            when latest."at" > span.from_at then latest.outcome
            when published."at" > span.from_at then 'accepted'
            when published.key is not null or delivered.key is not null then 'unchanged'
            when latest.outcome in ('rejected', 'unknown') then 'parked'
            else 'open'
        end as fate
    from (
        select 'contacts' as flow, email as key from mart.contacts
        union all
        select 'events', trigger_id from due
        union all
        select 'catalogue', item from mart.catalogue
    ) as eligible
    cross join span
    left join latest on latest.flow = eligible.flow and latest.key = eligible.key
    left join delivery.delivered as delivered on delivered.flow = eligible.flow and delivered.key = eligible.key
    left join published on eligible.flow = 'catalogue' and published.key = eligible.key
),
lines as (
    select outcome, coalesce(cast(payload->>'reversal' as boolean), false) as reversal, "at" > span.from_at as is_new
    from delivery.records
    cross join span
    where flow = 'sales' and erased_at is null
    qualify row_number() over (partition by key order by record_id desc) = 1
),
sold as (
    -- a reversal takes back a line that was accepted; while its fate is unknown so is the line's
    select
        count(*) filter (outcome = 'accepted' and not reversal) - count(*) filter (outcome = 'accepted' and reversal) as there,
        greatest(
            count(*) filter (is_new and outcome = 'accepted' and not reversal)
            - count(*) filter (is_new and outcome = 'accepted' and reversal), 0
        ) as accepted,
        count(*) filter (is_new and outcome = 'rejected' and not reversal) as rejected,
        count(*) filter (is_new and outcome = 'retryable' and not reversal) as retryable,
        count(*) filter (is_new and outcome = 'unknown' and not reversal) as unknown,
        count(*) filter (not is_new and outcome in ('rejected', 'unknown') and not reversal) as parked
    from lines
),
fates as (
    select flow,
        count(*) filter (fate = 'unchanged') as unchanged, count(*) filter (fate = 'accepted') as accepted,
        count(*) filter (fate = 'rejected') as rejected, count(*) filter (fate = 'retryable') as retryable,
        count(*) filter (fate = 'unknown') as unknown, count(*) filter (fate = 'parked') as parked
    from single
    group by flow
    union all
    select 'sales', there - accepted, accepted, rejected, retryable, unknown, parked
    from sold
),
today as (
    select
        sources.flow, span.day, span.from_at, span.until_at, sources.source,
        coalesce(left_out.excluded, 0) as excluded,
        left_out.excluded_by,
        sources.eligible,
        sources.source - sources.eligible - coalesce(left_out.excluded, 0) as unaccounted,
        coalesce(fates.unchanged, 0) as unchanged,
        coalesce(fates.accepted + fates.rejected + fates.retryable + fates.unknown, 0) as sent,
        coalesce(fates.accepted, 0) as accepted,
        coalesce(fates.rejected, 0) as rejected,
        coalesce(fates.retryable, 0) as retryable,
        coalesce(fates.unknown, 0) as unknown,
        coalesce(fates.parked, 0) as parked,
        sources.eligible - coalesce(
            fates.unchanged + fates.accepted + fates.rejected + fates.retryable + fates.unknown + fates.parked, 0
        ) as open
    from sources
    cross join span
    left join left_out on left_out.flow = sources.flow
    left join fates on fates.flow = sources.flow
)
select flow, day, from_at, until_at, source, cast(excluded as bigint) as excluded, excluded_by, eligible,
    cast(unaccounted as bigint) as unaccounted, unchanged, sent, accepted, rejected, retryable, unknown, parked, open
from today
union all
select kept.*
from reconciliation.balance as kept
where kept.day < (select day from span)
