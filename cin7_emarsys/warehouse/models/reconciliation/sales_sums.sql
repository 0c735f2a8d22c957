-- grain: one row per order and day of its documents
-- key: order, day
-- meaning: What Emarsys should have of each order's sales data against what it accepted, to the penny. Emarsys cannot be
-- asked, so the ledger stands in.
-- figure desired: coalesce(sum(desired), 0)
-- figure accepted: coalesce(sum(accepted), 0)
-- @column order: The order's number as sent.
-- @column day: Day of the documents.
-- @column desired: Sum of the lines as they should be there, in the currency of the account.
-- @column accepted: Sum of the lines accepted, reversals included.
-- @column parked: Sum of the lines of which nobody knows.
-- @column refused: Sum of the lines that Emarsys refused and still lacks.
-- @column difference: accepted less desired.
-- @column state: agrees; waiting (not sent yet), refused, parked or too_much (more accepted than there is).
with desired as (
    select "order", cast("timestamp" as date) as day, sum(price) as desired, count(*) as lines
    from mart.sales_lines
    group by all
),
latest as (
    select
        payload->>'order' as "order", cast(payload->>'timestamp' as date) as day, key,
        cast(payload->>'price' as decimal(18, 4)) as price, coalesce(cast(payload->>'reversal' as boolean), false) as reversal,
        outcome
    from delivery.records
    where flow = 'sales' and erased_at is null
    qualify row_number() over (partition by key order by record_id desc) = 1
),
sent as (
    select "order", day,
        coalesce(sum(price) filter (outcome = 'accepted'), 0) as accepted,
        coalesce(sum(price) filter (outcome = 'unknown'), 0) as parked,
        coalesce(sum(price) filter (outcome = 'rejected'), 0) as refused,
        count(*) filter (outcome = 'accepted' and not reversal) - count(*) filter (outcome = 'accepted' and reversal) as lines,
        count(*) filter (outcome = 'unknown') as doubtful,
        count(*) filter (outcome = 'rejected') as refusals
    from latest
    group by all
),
compared as (
    select
        coalesce(desired."order", sent."order") as "order", coalesce(desired.day, sent.day) as day,
        coalesce(desired.desired, 0) as desired, coalesce(sent.accepted, 0) as accepted, coalesce(sent.parked, 0) as parked,
        coalesce(sent.refused, 0) as refused, coalesce(desired.lines, 0) as wanted, coalesce(sent.lines, 0) as there,
        coalesce(sent.doubtful, 0) as doubtful, coalesce(sent.refusals, 0) as refusals
    from desired
    full join sent on sent."order" = desired."order" and sent.day = desired.day
)
select
    "order", day, cast(desired as decimal(18, 4)) as desired, cast(accepted as decimal(18, 4)) as accepted,
    cast(parked as decimal(18, 4)) as parked, cast(refused as decimal(18, 4)) as refused,
    cast(accepted - desired as decimal(18, 4)) as difference,
    case
        when accepted = desired and there = wanted then 'agrees'
        when doubtful > 0 then 'parked'
        when there > wanted then 'too_much'
        when refusals > 0 then 'refused'
        when there < wanted then 'waiting'
        else 'too_much'
    end as state
from compared
where wanted > 0 or there <> 0 or doubtful > 0 or accepted <> 0
