-- Every document of a month that is not the same in Cin7's books, here and at Emarsys, with the reason, and documents that
-- came late; the largest difference first. Parameters: $first, $last (days), $limit.
-- @column total: How many there are.
-- @column day: Date of the document.
-- @column document_kind: invoice or credit_note.
-- @column number: Its number, or its id where only Emarsys has it.
-- @column order_number: Number of the order.
-- @column between: Where it differs: Cin7 and here, or here and Emarsys.
-- @column reason: Why.
-- @column amount: By how much, in the currency of the books.
-- @column late: First read after the month had ended.
-- @column locked: Its date lies in the span that Cin7's books are locked for, and it came after that span.
-- @column first_seen_at: When it was first read (UTC); null for what the first reading brought.
with dated as (
    select books.*, tenant.lock_date,
        coalesce(cast((first_seen_at at time zone 'UTC') at time zone tenant.time_zone as date) > $last, false) as late
    from reconciliation.document_books as books
    cross join staging.tenant as tenant
    where dated_on between $first and $last
),
differences as (
    select *, 'Cin7 and here' as between, coalesce(replace(reason, '_', ' '), 'its lines and charges') as why,
        left_out + unexplained as amount
    from dated
    where reason is not null or abs(unexplained) > 0.02
    union all
    select *, 'Cin7 and here', 'charges outside value (shipping, handling)', charges from dated where charges <> 0
    union all
    select *, 'here and Emarsys', 'left out by rule: ' || replace(rule, '_', ' '), excluded from dated where rule is not null
    union all
    select *, 'here and Emarsys', 'sent with tax', -tax from dated where tax <> 0
    union all
    select *, 'here and Emarsys', 'parked: nobody knows whether Emarsys has it', parked from dated where parked <> 0
    union all
    select *, 'here and Emarsys', 'refused by Emarsys', refused from dated where refused <> 0
    union all
    select *, 'here and Emarsys', case when open * told > 0 then 'not sent yet' else 'no longer counts here: to be taken back' end, open
    from dated
    where open <> 0
)
select
    (select count(*) from differences) as total, dated_on as day, document_kind, coalesce(number, document_id) as number, order_number,
    between, why as reason, amount, late, late and coalesce(dated_on <= lock_date, false) as locked, first_seen_at
from differences
order by abs(amount) desc, day, number
limit $limit
