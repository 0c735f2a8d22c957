-- grain: one row per contact of a customer account that has an e-mail
-- key: customer_id, contact_no
-- meaning: The people behind customer accounts, with the consent noted in Cin7.
-- @column customer_id: The account.
-- @column contact_no: Place among the contacts of the account, from 1.
-- @column email: E-mail, normalised.
-- @column name: Name of the contact.
-- @column is_default: The account's default contact.
-- @column is_valid: The e-mail can be one.
-- @column consent: opt_in, opt_out or unknown, as Cin7 notes it.
with listed as (
    select lower(ID) as customer_id, unnest(Contacts) as contact, generate_subscripts(Contacts, 1) as contact_no
    from raw.customers
)
select
    customer_id,
    contact_no,
    lower(trim(contact.Email)) as email,
    contact.Name as name,
    coalesce(contact."Default", false) as is_default,
    regexp_matches(trim(contact.Email), '^[^@\s,;:<>()"]+@[^@\s,;:<>()"]+\.[^@\s,;:<>().&"]{2,}$') as is_valid,
    case contact.MarketingConsent when 2 then 'opt_in' when 3 then 'opt_out' else 'unknown' end as consent
from listed
where trim(contact.Email) <> ''
