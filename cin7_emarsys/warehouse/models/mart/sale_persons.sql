-- grain: one row per sale whose detail has been read, or stand-alone credit note
-- key: sale_id
-- meaning: Whose each sale is: the e-mail on it, else that of its customer's default contact, else the customer account.
-- Shared accounts (web guests) lend no identity. Two e-mails are never joined through a shared account or a parent;
-- only a written alias joins them, or Emarsys: a contact known by its external id is moved when its account's address
-- changes, and the old address goes with it.
-- @column sale_id: The sale.
-- @column order_number: Number of the order; for a stand-alone note its own number.
-- @column person_id: The e-mail, or customer:<id>; null where nobody can be named.
-- @column email: The person's e-mail, if there is one.
-- @column customer_id: Customer account.
-- @column contact_name: Name of the contact on the sale.
-- @column found_id: Whom the documents alone name; differs from person_id where a written alias or a moved contact leads on.
-- @column rule: How it was found: sale_email, default_contact, customer_account or none; erased where the person was.
with documents as (
    select sale_id, order_number, customer_id, customer_name, contact_name, email, is_erased
    from staging.sales
    where is_listed and has_detail -- a header has no e-mail: by itself it would name the wrong person
    union all
    select lower(SaleID), any_value(trim(CreditNoteNumber)), any_value(lower(CustomerID)), any_value(Customer), null,
        null, coalesce(bool_or(_erased), false)
    from raw.credit_note_headers
    where lower(SaleID) not in (select sale_id from staging.sales where is_listed)
    group by lower(SaleID)
),
matched as (
    select
        documents.*,
        customers.email as default_email,
        coalesce(customers.is_generic, false)
            or coalesce(lower(trim(documents.customer_name)) in (select lower(trim(name)) from policy.generic_customers), false)
            as is_generic
    from documents
    left join staging.customers as customers on customers.customer_id = documents.customer_id
),
found as (
    select
        *,
        case
            when is_erased then null
            when email is not null then email
            when is_generic then null
            when default_email is not null then default_email
            when customer_id is not null then 'customer:' || customer_id
        end as found_id,
        case
            when is_erased then 'erased'
            when email is not null then 'sale_email'
            when is_generic then 'none'
            when default_email is not null then 'default_contact'
            when customer_id is not null then 'customer_account'
            else 'none'
        end as rule
    from matched
),
moved as (
    select email, moved_to from staging.sent_contacts
    where moved_to is not null and email not in (select alias from staging.written_aliases)
),
joined as (
    select found.*, coalesce(aliases.person_id, moved.moved_to, found.found_id) as person_id
    from found
    left join moved on moved.email = found.found_id
    left join staging.written_aliases as aliases on aliases.alias = coalesce(moved.moved_to, found.found_id)
)
select sale_id, order_number, person_id, case when not starts_with(person_id, 'customer:') then person_id end as email,
    customer_id, contact_name, found_id, rule
from joined
