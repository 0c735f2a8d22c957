-- Exceptions, the worst and oldest first. Parameter: $everything, whether those resolved as well.
select *
from operations.exceptions
where $everything or state <> 'resolved'
order by state = 'resolved', state = 'ignored', severity = 'NOTE', severity = 'WARNING', first_seen_at, class, cause
