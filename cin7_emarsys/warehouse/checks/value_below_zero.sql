-- title: Customers with a lifetime value below zero: {rows}
-- assets: mart.customer_value
-- severity: warn
-- key: customer_id
-- owner: finance
-- means: These customers got back more than they paid, or a sale is missing.
-- of: mart.customer_value
-- next_step: Usually a credit note for a sale from before the history, or one entered twice; `customer` shows the statement.
with rounding as (
    select person_id, 0.005 * sum(entries * rate) + 0.01 * max(rate) as slack from mart.documents group by person_id
)
select persons.customer_id, value.gross, value.refunded, value.ltv, value.refund_count
from mart.customer_value as value
join mart.persons as persons on persons.person_id = value.person_id
join rounding on rounding.person_id = value.person_id
where value.ltv < -rounding.slack
order by value.ltv
