-- What a person must look at, the worst first. Parameters: $filter (open, critical, overdue, ignored, resolved), $search (part of
-- class, title or owner, or null), $limit, $offset.
-- @column total: Exceptions that answer filter and search.
-- @column class: Its class; with cause the key.
with chosen as (
    select class, cause, state, severity, title, meaning, owner, assigned_to, count, ignored, examples, first_seen_at,
        age_hours, due_at, overdue, reopened, ignored_until, reason, next_step, resolved_at
    from operations.exceptions
    where case $filter
            when 'critical' then state = 'open' and severity = 'CRITICAL'
            when 'overdue' then overdue
            when 'ignored' then state = 'ignored'
            when 'resolved' then state = 'resolved'
            else state = 'open'
        end
        and (
            $search is null or contains(class, lower($search)) or contains(lower(title), lower($search))
            or contains(lower(owner), lower($search))
        )
)
select (select count(*) from chosen) as total, *
from chosen
order by list_position(['CRITICAL', 'WARNING', 'NOTE'], severity), not overdue, first_seen_at, class, cause
limit $limit offset $offset
