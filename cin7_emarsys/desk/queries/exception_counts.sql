-- How many exceptions each filter of their page finds. One row.
select
    count(*) filter (state = 'open') as open,
    count(*) filter (state = 'open' and severity = 'CRITICAL') as critical,
    count(*) filter (overdue) as overdue,
    count(*) filter (state = 'ignored') as ignored,
    count(*) filter (state = 'resolved') as resolved
from operations.exceptions
