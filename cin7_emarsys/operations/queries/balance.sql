-- The balance of the newest day.
select *
from reconciliation.balance
where day = (select max(day) from reconciliation.balance)
order by list_position(['contacts', 'catalogue', 'sales', 'events'], flow)
