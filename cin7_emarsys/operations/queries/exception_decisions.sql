-- What people decided about a class, the newest first. Parameter: $name.
select key, assigned_to, ignored_until, reason, who, decided_at
from operations.exception_decisions
where class = $name
order by decided_at desc
