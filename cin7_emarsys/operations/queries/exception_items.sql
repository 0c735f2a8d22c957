-- Items of one class, open ones first, the oldest first. Parameters: $name, $limit, $everything (also those resolved).
-- @column total: How many there are.
with chosen as (
    select key, cause, owner, next_step, first_seen_at, resolved_at, reopened
    from operations.exception_items
    where class = $name and ($everything or resolved_at is null)
)
select (select count(*) from chosen) as total, *
from chosen
order by resolved_at is not null, first_seen_at, key
limit $limit
