-- title: {rows} documents belong to nobody who can be named
-- assets: mart.sale_persons
-- severity: warn
-- next_step: Enter an e-mail on the sale or on the default contact of its customer. Guests of a shared account without e-mail stay out.
select document_kind, number, order_number, customer_id, dated_on
from mart.documents
where person_id is null and not is_erased
order by dated_on desc, number
