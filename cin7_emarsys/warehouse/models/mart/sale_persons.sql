-- grain: one row per sale or stand-alone credit note
-- key: sale_id
-- meaning: Whose each sale is: the e-mail on it, else that of its customer's default contact, else the customer account.
-- Shared accounts (web guests) lend no identity. Two e-mails are never joined through a shared account.
-- @column sale_id: The sale.
-- @column order_number: Number of the order; for a stand-alone note its own number.
-- @column person_id: The e-mail, or customer:<id>; null where nobody can be named.
-- @column email: The e-mail, if there is one.
-- @column customer_id: Customer account.
-- @column contact_name: Name of the contact on the sale.
-- @column rule: How it was found: sale_email, default_contact, customer_account or none.
with documents as (
    select sale_id, order_number, customer_id, customer_name, contact_name, email
    from staging.sales
    where is_listed
    union all
    select lower(SaleID), any_value(trim(CreditNoteNumber)), any_value(lower(CustomerID)), any_value(Customer), null,
        null
    from raw.credit_note_headers
    where lower(SaleID) not in (select sale_id from staging.sales where is_listed)
    group by lower(SaleID)
),
matched as (
    select
        documents.*,
        customers.email as default_email,
        coalesce(customers.is_generic, false) or exists (
            from policy.generic_customers as generic
            where lower(trim(generic.name)) = lower(trim(documents.customer_name))
        ) as is_generic
    from documents
    left join staging.customers as customers on customers.customer_id = documents.customer_id
)
select
    sale_id,
    order_number,
    case
        when email is not null then email
        when is_generic then null
        when default_email is not null then default_email
        when customer_id is not null then 'customer:' || customer_id
    end as person_id,
    case when email is not null then email when not is_generic then default_email end as email,
    customer_id,
    contact_name,
    case
        when email is not null then 'sale_email'
        when is_generic then 'none'
        when default_email is not null then 'default_contact'
        when customer_id is not null then 'customer_account'
        else 'none'
    end as rule
from matched
