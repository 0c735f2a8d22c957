-- grain: one row per flow
-- key: flow
-- meaning: Where every source row of a flow is: excluded by a rule, accepted by Emarsys, or still on its way and why.
-- @column flow: contacts, sales or events.
-- @column source: Source rows.
-- @column excluded: Of these, left out by a named rule.
-- @column eligible: Of these, to be at Emarsys.
-- @column accepted: Of the eligible, accepted in their present form or an earlier one.
-- @column rejected: Of the eligible, refused by Emarsys and waiting for a person.
-- @column unknown: Of the eligible, sent without a trustworthy answer.
-- @column open: Of the eligible, not sent yet or to be sent again.
with eligible as (
    select 'contacts' as flow, email as key from mart.contacts
    union all
    select 'events', trigger_id from mart.order_events where excluded is null
),
latest as (
    select flow, key, arg_max(outcome, record_id) as outcome from delivery.records group by all
),
fates as (
    select eligible.flow,
        count(*) as eligible,
        count(*) filter (delivered.key is not null or latest.outcome = 'accepted') as accepted,
        count(*) filter (delivered.key is null and latest.outcome = 'rejected') as rejected,
        count(*) filter (delivered.key is null and latest.outcome = 'unknown') as unknown
    from eligible
    left join latest on latest.flow = eligible.flow and latest.key = eligible.key
    left join delivery.delivered as delivered on delivered.flow = eligible.flow and delivered.key = eligible.key
    group by all
    union all
    select 'sales', (select count(*) from mart.sales_lines), lines.accepted, lines.rejected, lines.unknown
    from (
        select
            count(*) filter (outcome = 'accepted' and not reversal) - count(*) filter (outcome = 'accepted' and reversal)
                as accepted,
            count(*) filter (outcome = 'rejected') as rejected,
            count(*) filter (outcome = 'unknown' and not reversal) as unknown
        from (
            select outcome, cast(payload->>'reversal' as boolean) as reversal from delivery.records where flow = 'sales'
        )
    ) as lines
),
left_out as (
    select flow, count(*) as excluded from mart.excluded where flow in ('contacts', 'sales', 'events') group by flow
)
select
    fates.flow,
    fates.eligible + coalesce(left_out.excluded, 0) as source,
    coalesce(left_out.excluded, 0) as excluded,
    fates.eligible,
    fates.accepted,
    fates.rejected,
    fates.unknown,
    fates.eligible - fates.accepted - fates.rejected - fates.unknown as open
from fates
left join left_out on left_out.flow = fates.flow
