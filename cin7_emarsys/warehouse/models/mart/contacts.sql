-- grain: one row per e-mail
-- key: email
-- feedback: reconciliation.contacts_read
-- meaning: What Emarsys should hold for each contact. What follows from orders is left out until the whole history has
-- been read, so that nobody is greeted as new by mistake.
-- figure wholesale: count(*) filter (wholesale)
-- figure opted_out: count(*) filter (consent = 'opt_out')
-- @column email: E-mail, normalised; the key.
-- @column customer_id: Customer account.
-- @column person_id: The person.
-- @column first_name: First word of the name.
-- @column last_name: The rest of it.
-- @column attributes: Value of each attribute as text; null where there is none.
-- @column derived: Attributes worked out by us, which are cleared again when they become null.
-- @column consent: opt_out, opt_in or unknown, as Cin7 notes it.
-- @column wholesale: Buys wholesale.
-- @column left_behind: Has nothing of its own any more: it stays at Emarsys with its order attributes at zero, until somebody
-- deletes it there.
-- @column payload_hash: Hash of what Emarsys would get.
with accounts as (
    select email, min(customer_id) as customer_id
    from staging.customers
    where email is not null and not is_generic
    group by email
),
people as (
    select
        persons.*,
        case when settings.contact_key = 'external_id' then accounts.customer_id end as external_id,
        nullif(regexp_extract(trim(persons.name), '^(\S+)'), '') as first_name,
        nullif(trim(regexp_replace(trim(persons.name), '^\S+', '')), '') as last_name
    from mart.persons as persons
    cross join policy.settings as settings
    left join accounts on accounts.email = persons.email
    where persons.email is not null
        and (
            persons.is_contact and persons.joined_into is null
            or persons.left_behind and not exists ( -- deleted or joined there: sending would create it again
                from reconciliation.contacts_read as read
                where read.email = persons.email and read.ours and not read.found and read.code = '2008'
            )
        )
        and (settings.include_wholesale or not persons.is_wholesale)
),
described as (
    select
        people.*,
        json_object(
            'first_name', people.first_name,
            'last_name', people.last_name,
            'customer_id', people.customer_id,
            'external_id', people.external_id,
            'currency', value.currency
        ) as master,
        json_object(
            'customer_type', value.customer_type,
            'first_order_date', cast(value.first_order_date as varchar),
            'last_order_date', cast(value.last_order_date as varchar),
            'order_count', cast(value.order_count as varchar),
            'items', case
                when value.items = floor(value.items) then cast(cast(value.items as bigint) as varchar)
                else cast(value.items as varchar)
            end,
            'gross', cast(cast(value.gross as decimal(18, 2)) as varchar),
            'refunded', cast(cast(value.refunded as decimal(18, 2)) as varchar),
            'ltv', cast(cast(value.ltv as decimal(18, 2)) as varchar),
            'average_order_value', cast(cast(value.average_order_value as decimal(18, 2)) as varchar),
            'favourite_category', value.favourite_category,
            'refund_count', cast(value.refund_count as varchar),
            'last_refund_date', cast(value.last_refund_date as varchar),
            'open_orders', cast(value.open_orders as varchar)
        ) as orders,
        tenant.history_complete
    from people
    join mart.customer_value as value on value.person_id = people.person_id
    cross join staging.tenant as tenant
),
joined as (
    select
        *,
        -- two objects written one after the other are one object: a merge of JSON would drop the nulls
        case
            when history_complete then cast(left(master::varchar, -1) || ',' || substr(orders::varchar, 2) as json)
            else master
        end as attributes
    from described
)
select
    email,
    customer_id,
    person_id,
    first_name,
    last_name,
    attributes,
    [
        'customer_type', 'first_order_date', 'last_order_date', 'order_count', 'items', 'gross', 'refunded', 'ltv',
        'average_order_value', 'favourite_category', 'refund_count', 'last_refund_date', 'open_orders', 'currency'
    ] as derived,
    consent,
    is_wholesale as wholesale,
    left_behind,
    md5(concat_ws(chr(31), email, attributes::varchar, consent)) as payload_hash
from joined
