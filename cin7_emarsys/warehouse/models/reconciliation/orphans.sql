-- grain: one row per SKU or customer that is on one side and not on the other
-- key: what, missing_at, key
-- meaning: Four lists in one: SKUs and customers that Emarsys lacks though Cin7 has them, and the other way round, each
-- with its cause, how long it has been so, who answers for it and what to do.
-- figure unexpected: count(*) filter (not expected)
-- @column what: sku or customer.
-- @column missing_at: emarsys or cin7.
-- @column key: The SKU (the product's id where it has none); the customer id, or a hash; never an address.
-- @column email: Of a customer the address, if any; stays in the warehouse.
-- @column product_id: Of a SKU the product, where there is one.
-- @column cause: Why; see the list in this model.
-- @column expected: It is so by a rule or will pass by itself; nobody has to do anything.
-- @column since: Since when, as far as it is known (UTC).
-- @column age_days: How many days that is.
-- @column owner: Who answers for it, by policy.
-- @column next_step: What to do, with the command where one of ours mends it.
with causes(what, missing_at, cause, expected, role, next_step) as (
    values
        ('sku', 'emarsys', 'deprecated', true, 'products',
            'Nothing, if the product was deprecated on purpose.'),
        ('sku', 'emarsys', 'not_sold', true, 'products',
            'Nothing, if it is not for sale; else mark it as sellable in Cin7.'),
        ('sku', 'emarsys', 'not_yet_due', true, 'operations',
            'Nothing: it goes with the next product file (cin7-emarsys sync products).'),
        ('sku', 'emarsys', 'not_collected_yet', true, 'operations',
            'Nothing: Emarsys has it when it next fetches the file.'),
        ('sku', 'emarsys', 'never_sent', false, 'operations',
            'Publish the product file: cin7-emarsys sync products; a refused file says why.'),
        ('sku', 'emarsys', 'rejected', false, 'products',
            'See cin7-emarsys dead-letters list --flow catalogue; correct the product in Cin7.'),
        ('sku', 'emarsys', 'not_in_export', false, 'operations',
            'Emarsys fetched it and does not list it: read the report of its last import in Predict Data Sources, then '
            || 'cin7-emarsys sync products.'),
        ('sku', 'emarsys', 'no_trusted_stock_yet', false, 'operations',
            'Run cin7-emarsys sync stock; without a trusted snapshot its stock is not known.'),
        ('sku', 'emarsys', 'duplicate_sku', false, 'products',
            'Two products have this SKU: give each its own in Cin7, then cin7-emarsys sync products.'),
        ('sku', 'emarsys', 'no_sku', false, 'products',
            'Give the product a SKU in Cin7, then cin7-emarsys sync products.'),
        ('sku', 'cin7', 'renamed', true, 'products',
            'Nothing, if the renaming was meant: the old item stays, not available.'),
        ('sku', 'cin7', 'gone_from_cin7', true, 'operations',
            'Nothing, if the product was deleted on purpose: the item stays, not available.'),
        ('sku', 'cin7', 'still_available', false, 'operations',
            'Cin7 no longer has it and Emarsys may still recommend it: cin7-emarsys sync products.'),
        ('sku', 'cin7', 'sold_but_unknown', false, 'operations',
            'An order names a SKU that Cin7 no longer has: cin7-emarsys sync products lists it, not available.'),
        ('sku', 'cin7', 'only_in_emarsys', false, 'products',
            'The export has it and no file of ours had: see in Emarsys who else loads products.'),
        ('customer', 'emarsys', 'generic_customer', true, 'sales',
            'Nothing: an account for many people lends no identity.'),
        ('customer', 'emarsys', 'deprecated_customer', true, 'sales',
            'Nothing, if the customer was deprecated on purpose.'),
        ('customer', 'emarsys', 'wholesale', true, 'marketing',
            'Nothing: wholesale is left out by the policy.'),
        ('customer', 'emarsys', 'joined', true, 'marketing',
            'Nothing: it counts for another person (cin7-emarsys customer alias list).'),
        ('customer', 'emarsys', 'not_yet_due', true, 'operations',
            'Nothing: it goes with the next export of contacts (cin7-emarsys sync customers).'),
        ('customer', 'emarsys', 'no_email', false, 'sales',
            'Enter an e-mail for the customer in Cin7, if there is one; then cin7-emarsys sync customers.'),
        ('customer', 'emarsys', 'invalid_email', false, 'sales',
            'Correct the e-mail of the contact in Cin7; then cin7-emarsys sync customers.'),
        ('customer', 'emarsys', 'duplicate_key', false, 'operations',
            'Emarsys has several contacts with this e-mail: join them there; then cin7-emarsys dead-letters retry.'),
        ('customer', 'emarsys', 'rejected', false, 'operations',
            'See cin7-emarsys dead-letters list --flow contacts; correct the contact in Cin7, or retry.'),
        ('customer', 'emarsys', 'never_sent', false, 'operations',
            'Run cin7-emarsys sync orders, and see that armed = true in merchant.toml.'),
        ('customer', 'emarsys', 'deleted_there', false, 'marketing',
            'Somebody deleted the contact in Emarsys: cin7-emarsys replay sends it again, erase forgets it here too.'),
        ('customer', 'cin7', 'merged', false, 'marketing',
            'The customer has another address now: join or delete the old contact in Emarsys.'),
        ('customer', 'cin7', 'no_longer_in_cin7', false, 'marketing',
            'The customer is gone from Cin7: delete the contact in Emarsys, or keep it knowingly '
            || '(cin7-emarsys exceptions ignore).'),
        ('customer', 'cin7', 'only_in_emarsys', true, 'marketing',
            'Nothing: somebody who signed up and is no customer.')
),
orphans as (
    select 'sku' as what, missing_at, sku as key, null as email, product_id, cause, since
    from reconciliation.orphan_skus
    union all
    select 'customer', missing_at, person, email, null, cause, since
    from reconciliation.orphan_customers
)
select
    orphans.what, orphans.missing_at, orphans.key, orphans.email, orphans.product_id, orphans.cause,
    coalesce(causes.expected, false) as expected,
    orphans.since,
    date_diff('day', orphans.since, tenant.as_of) as age_days,
    coalesce(owners.who, causes.role, 'marketing') as owner,
    coalesce(
        causes.next_step,
        'Cin7 leaves this customer out now (' || orphans.cause || '): delete the contact in Emarsys, or keep it '
        || 'knowingly (cin7-emarsys exceptions ignore).'
    ) as next_step
from orphans
cross join staging.tenant as tenant
left join causes
    on causes.what = orphans.what and causes.missing_at = orphans.missing_at and causes.cause = orphans.cause
left join policy.owners as owners on owners.role = coalesce(causes.role, 'marketing')
