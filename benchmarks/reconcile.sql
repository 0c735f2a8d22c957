-- The plain comparison that reconciliation is measured against: anti-joins both ways, and every field of the field map as read
-- against as accepted. Knows no cause, owner or next step.
select 'sku' as what, 'emarsys' as side, products.sku as key, null as field
from staging.products as products
anti join delivery.catalogue_items as items on items.item = products.sku
union all
select 'sku', 'cin7', items.item, null
from delivery.catalogue_items as items
anti join staging.products as products on products.sku = items.item
union all
select 'customer', 'emarsys', contacts.email, null
from mart.contacts as contacts
anti join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = contacts.email
union all
select 'customer', 'emarsys', read.email, null
from reconciliation.contacts_read as read
join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = read.email
where not read.found
union all
select 'customer', 'cin7', delivered.key, null
from delivery.delivered as delivered
anti join mart.contacts as contacts on contacts.email = delivered.key
where delivered.flow = 'contacts'
union all
select 'drift', null, email, unnest(list_filter(map_keys(ours), lambda field: ours[field] is distinct from theirs[field]))
from (
    select read.email, cast(read.fields as map(varchar, varchar)) as theirs,
        cast(delivered.payload as map(varchar, varchar)) as ours
    from reconciliation.contacts_read as read
    join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = read.email
    where read.found
)
