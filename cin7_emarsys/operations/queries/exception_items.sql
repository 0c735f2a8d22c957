-- Items of one class, open ones first, the oldest first. Parameters: $name, $limit.
select key, cause, owner, next_step, first_seen_at, resolved_at, reopened
from operations.exception_items
where class = $name
order by resolved_at is not null, first_seen_at, key
limit $limit
