-- What a person must look at, the worst first. Parameters: $filter (open, critical, overdue, ignored, resolved), $search (part of
-- class, title or owner, or null), $limit, $offset.
-- @column total: Exceptions that answer filter and search.
-- @column class: Its class; with cause the key.
-- @column people: Customers among its examples, id → name, for who may look them up.
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
),
parts as (
    select distinct class, cause, unnest(string_split(replace(array_to_string(examples, ' · '), ':', ' · '), ' · ')) as part
    from chosen
),
people as (
    select parts.class, parts.cause, map_from_entries(list((customers.customer_id, customers.name))) as people
    from parts
    join staging.customers as customers on customers.customer_id = parts.part
    group by parts.class, parts.cause
)
select (select count(*) from chosen) as total, chosen.*, coalesce(people.people, map {}) as people
from chosen
left join people on people.class = chosen.class and people.cause = chosen.cause
order by list_position(['CRITICAL', 'WARNING', 'NOTE'], severity), not overdue, first_seen_at, chosen.class, chosen.cause
limit $limit offset $offset
