-- grain: one row per credit note that counts
-- key: document_id
-- meaning: Refunds: authorised credit notes, of sales and stand-alone.
-- figure refunded: coalesce(sum(refunded), 0)
-- figure standalone: count(*) filter (is_standalone)
-- figure newest: max(refunded_on)
-- @column document_id: The credit note.
-- @column number: Its number.
-- @column sale_id: The sale it stands under.
-- @column is_standalone: Belongs to no sale; lowers the customer's value, not that of an order.
-- @column order_number: Number of the order; for a stand-alone note its own number.
-- @column person_id: Whose it is.
-- @column email: E-mail of that person.
-- @column customer_id: Customer account.
-- @column refunded_on: Date of the note.
-- @column currency: Its currency.
-- @column goods: Counted value in its currency.
-- @column refunded: Counted value in the currency of the books.
-- @column items: Units on it.
select document_id, number, sale_id, is_standalone, order_number, person_id, email, customer_id,
    dated_on as refunded_on, currency, goods, net as refunded, items
from mart.documents
where document_kind = 'credit_note'
