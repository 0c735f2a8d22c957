-- grain: one row per customer account
-- key: customer_id
-- meaning: Customer accounts, with the e-mail of their default contact and whether they buy wholesale.
-- @column customer_id: Cin7's id of the account.
-- @column name: Name of the account.
-- @column is_active: Not deprecated and still listed.
-- @column is_generic: An account shared by many buyers (web guests); it lends nobody an identity.
-- @column is_wholesale: By price tier, tag or name, as the policy says.
-- @column price_tier: Name of its price tier.
-- @column tags: Tags in lower case.
-- @column email: E-mail of the default contact, normalised (trimmed, lower case).
-- @column contact_name: Name of that contact.
-- @column currency: Currency of the account.
-- @column updated_at: Last change in Cin7 (UTC).
with accounts as (
    select
        customers.*,
        [lower(trim(tag)) for tag in string_split(coalesce(customers.Tags, ''), ',') if trim(tag) <> ''] as tag_list
    from raw.customers as customers
),
mains as ( -- of two default contacts the first that can be mailed
    select customer_id, arg_min({'email': email, 'name': name}, contact_no) as contact
    from staging.contacts
    where is_default and is_valid
    group by customer_id
)
select
    lower(accounts.ID) as customer_id,
    accounts.Name as name,
    coalesce(lower(Status) <> 'deprecated', true) and _missing_since is null as is_active,
    coalesce(lower(trim(accounts.Name)) in (select lower(trim(name)) from policy.generic_customers), false) as is_generic,
    coalesce(
        lower(trim(accounts.PriceTier)) in (select lower(trim(name)) from policy.wholesale_price_tiers)
        or list_has_any(accounts.tag_list, (select list(lower(trim(tag))) from policy.wholesale_tags))
        or lower(trim(accounts.Name)) in (select lower(trim(name)) from policy.wholesale_customers),
        false
    ) as is_wholesale,
    PriceTier as price_tier,
    tag_list as tags,
    mains.contact.email as email,
    mains.contact.name as contact_name,
    Currency as currency,
    LastModifiedOn as updated_at
from accounts
left join mains on mains.customer_id = lower(accounts.ID)
