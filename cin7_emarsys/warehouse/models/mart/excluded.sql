-- grain: one row per source row that is left out of a flow
-- key: flow, key
-- meaning: What does not go to Emarsys and by which rule, so that source = sent + unchanged + excluded can be proved.
-- @column flow: contacts, catalogue, sales or events.
-- @column key: The source row.
-- @column rule: Name of the rule.
-- @column detail: More about it; never an address.
select 'contacts' as flow, contacts.customer_id || ':' || contacts.contact_no as key,
    case when not contacts.is_valid then 'invalid_email' else 'generic_customer' end as rule,
    customers.name as detail
from staging.contacts as contacts
join staging.customers as customers on customers.customer_id = contacts.customer_id
where not contacts.is_valid or customers.is_generic
union all
select 'contacts', person_id,
    case
        when email is null then 'no_email'
        when joined_into is not null then 'joined'
        when not is_contact then 'deprecated_customer'
        else 'wholesale'
    end,
    customer_id
from mart.persons
where not exists (from mart.contacts as kept where kept.person_id = persons.person_id)
union all
select 'catalogue', products.product_id,
    case
        when products.sku is null then 'no_sku'
        when exists (from mart.catalogue as listed where listed.item = products.sku) then 'duplicate_sku'
        when not exists (
            from mart.availability as states
            where states.product_id = products.product_id and states.sku = products.sku
        ) then 'no_trusted_stock_yet'
        else 'not_sold'
    end,
    products.sku
from staging.products as products
where not exists (
    from mart.catalogue as listed where listed.item = products.sku and listed.product_id = products.product_id
)
union all
select 'sales', routes.document_kind || ':' || routes.document_id || ':' || lines.line_no, routes.excluded,
    routes.sale_id
from mart.sales_documents as routes
join staging.document_lines as lines
    on lines.document_kind = routes.document_kind and lines.document_id = routes.document_id and not lines.is_charge
where routes.excluded is not null
union all
select 'events', fact_id, case when absorbed then 'absorbed_by_baseline' else 'history' end, event
from mart.order_facts
where silent and event is not null
union all
select 'events', trigger_id, excluded, event
from mart.order_events
where excluded is not null
