-- grain: one row per document that changed somebody's value in a build, kept for ever
-- key: revision, document_kind, document_id, person_id
-- materialize: append
-- feedback: mart.value_lines_seen, mart.customer_value_changes
-- meaning: Why lifetime values changed from one build to the next: the documents that came, went, changed or moved to
-- another person. What the first reading brought is no change.
-- @column revision: Number of the build that found something changed, from 1.
-- @column changed_at: When it was found, by Cin7's clock (UTC).
-- @column person_id: Whose value changed.
-- @column what: came, went, changed, moved_here or moved_away.
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column number: Number of the document.
-- @column order_number: Number of the order.
-- @column amount_before: What it had added to the value; null where nothing.
-- @column amount_after: What it adds now; null where nothing.
-- @column difference: By how much it moved the value.
-- @column reason: The same in words.
with compared as (
    select
        coalesce(now.document_kind, before.document_kind) as document_kind,
        coalesce(now.document_id, before.document_id) as document_id,
        before.person_id as person_before,
        now.person_id as person_now,
        coalesce(now.number, before.number) as number,
        coalesce(now.order_number, before.order_number) as order_number,
        before.amount as amount_before,
        now.amount as amount_after
    from (from mart.customer_value_lines where document_kind <> 'open_order') as now
    full join mart.value_lines_seen as before
        on before.document_kind = now.document_kind and before.document_id = now.document_id
    where before.amount is distinct from now.amount or before.person_id is distinct from now.person_id
),
sides as (
    select document_kind, document_id, number, order_number, person_now as person_id, amount_before, amount_after,
        case when person_before is null then 'came' else 'changed' end as what
    from compared
    where person_now is not null and (person_before is null or person_before = person_now)
    union all
    select document_kind, document_id, number, order_number, person_now, null, amount_after, 'moved_here'
    from compared
    where person_now <> person_before
    union all
    select document_kind, document_id, number, order_number, person_before, amount_before, null,
        case when person_now is null then 'went' else 'moved_away' end
    from compared
    where person_before is not null and person_now is distinct from person_before
)
select
    (select coalesce(max(revision), 0) + 1 from mart.customer_value_changes) as revision,
    tenant.as_of as changed_at,
    sides.person_id,
    sides.what,
    sides.document_kind,
    sides.document_id,
    sides.number,
    sides.order_number,
    sides.amount_before,
    sides.amount_after,
    cast(coalesce(sides.amount_after, 0) - coalesce(sides.amount_before, 0) as decimal(18, 4)) as difference,
    case sides.document_kind when 'invoice' then 'invoice ' else 'credit note ' end
        || coalesce(sides.number, sides.document_id)
        || case sides.what
            when 'came' then ''
            when 'went' then ' voided or undone'
            when 'changed' then ' changed'
            when 'moved_here' then ' moved here from another person'
            else ' moved to another person'
        end as reason
from sides
cross join staging.tenant as tenant
where exists (from mart.value_lines_seen)
