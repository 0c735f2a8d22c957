-- grain: one row per class of exceptions and cause that anything was ever found of
-- key: class, cause
-- meaning: What a person must look at: one row for each kind of trouble, with what it means, who answers for it, how old
-- it is and what to do. It resolves itself when a later run finds it gone; what comes back keeps its age.
-- materialize: view
-- @column class: Name of the class; the check of that name found it.
-- @column cause: Why, where a class has several causes; else empty.
-- @column state: open, ignored (somebody said so, until a date) or resolved.
-- @column severity: CRITICAL, WARNING or NOTE (below the thresholds of the policy), of the whole class.
-- @column title: What is wrong, with the number of items open.
-- @column meaning: What it means for the business, in one sentence.
-- @column owner: Who answers for it, by policy.
-- @column assigned_to: Who has taken it on, or was asked to.
-- @column count: Items open and not ignored.
-- @column ignored: Items open and ignored.
-- @column population: What there is in all of the kind; 0 where a share says nothing.
-- @column examples: Keys of up to three items, the oldest first; never an address.
-- @column first_seen_at: Since when the oldest open item is known (UTC); it keeps this when it comes back.
-- @column age_hours: How long that is.
-- @column due_at: By when somebody should have dealt with it (UTC).
-- @column overdue: That moment has passed.
-- @column reopened: How often items came back after they had been resolved.
-- @column ignored_until: Until when it is ignored (UTC).
-- @column reason: Why it was ignored or assigned, as the person wrote it.
-- @column next_step: What to do, the command included.
-- @column resolved_at: When the last item was found gone (UTC); null while any is open.
-- @column asked_at: When this was last looked at (UTC).
with clock as (
    select coalesce(max(as_of), cast(current_timestamp as timestamp)) as as_of from staging.tenant
),
decided as (
    select class, key,
        max_by(assigned_to, decided_at) filter (assigned_to is not null) as assigned_to,
        max_by(ignored_until, decided_at) filter (ignored_until is not null) as ignored_until,
        max_by(reason, decided_at) as reason
    from operations.exception_decisions
    group by class, key
),
items as (
    select items.class, coalesce(items.cause, '') as cause, items.key, items.owner, items.next_step,
        items.first_seen_at, items.resolved_at, items.reopened,
        coalesce(own.assigned_to, whole.assigned_to) as assigned_to,
        greatest(own.ignored_until, whole.ignored_until) as ignored_until,
        coalesce(own.reason, whole.reason) as reason,
        items.resolved_at is null as is_open,
        coalesce(greatest(own.ignored_until, whole.ignored_until) > clock.as_of, false) as is_ignored
    from operations.exception_items as items
    cross join clock
    left join decided as whole on whole.class = items.class and whole.key is null
    left join decided as own on own.class = items.class and own.key = items.key
),
causes as (
    select class, cause,
        min(owner) as role, min(next_step) as next_step,
        count(*) filter (is_open and not is_ignored) as count,
        count(*) filter (is_open and is_ignored) as ignored,
        min_by(key, (first_seen_at, key), 3) filter (is_open and not is_ignored) as examples,
        coalesce(min(first_seen_at) filter (is_open and not is_ignored), min(first_seen_at) filter (is_open)) as first_seen_at,
        sum(reopened) as reopened,
        any_value(assigned_to) filter (is_open) as assigned_to,
        max(ignored_until) filter (is_open and is_ignored) as ignored_until,
        any_value(reason) filter (is_open) as reason,
        case when count(*) filter (is_open) = 0 then max(resolved_at) end as resolved_at
    from items
    group by class, cause
)
select
    causes.class,
    causes.cause,
    case when causes.count > 0 then 'open' when causes.ignored > 0 then 'ignored' else 'resolved' end as state,
    coalesce(classes.level, 'NOTE') as severity,
    -- it ends with the number of the whole class
    regexp_replace(classes.title, ': [0-9,]+$', format(': {:,}', causes.count + causes.ignored)) as title,
    classes.means as meaning,
    coalesce(owners.who, causes.role, classes.owner) as owner,
    causes.assigned_to,
    causes.count,
    causes.ignored,
    classes.population,
    coalesce(causes.examples, []) as examples,
    causes.first_seen_at,
    round(date_diff('minute', causes.first_seen_at, clock.as_of) / 60.0, 1) as age_hours,
    causes.first_seen_at + to_hours(classes.due_hours) as due_at,
    coalesce(causes.count > 0 and causes.first_seen_at + to_hours(classes.due_hours) < clock.as_of, false) as overdue,
    cast(causes.reopened as bigint) as reopened,
    causes.ignored_until,
    causes.reason,
    coalesce(causes.next_step, classes.next_step) as next_step,
    causes.resolved_at,
    classes.asked_at
from causes
cross join clock
join operations.exception_classes as classes on classes.class = causes.class
left join policy.owners as owners on owners.role = causes.role
