-- title: Documents that belong to nobody who can be named: {rows}
-- assets: mart.sale_persons
-- severity: warn
-- key: document_kind, number, order_number
-- owner: sales
-- means: What was bought here counts for nobody, so a buyer may be taken for somebody who never bought.
-- of: mart.documents
-- next_step: Enter an e-mail on the sale or on the default contact of its customer. Guests of a shared account without e-mail stay out.
select document_kind, number, order_number, customer_id, dated_on
from mart.documents
where person_id is null and not is_erased
order by dated_on desc, number
