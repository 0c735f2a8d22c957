-- grain: one row per contact, item or order and field that says something else at Emarsys than it should
-- key: what, key, field
-- feedback: reconciliation.drift
-- meaning: What is on both sides but different: fields of contacts as read back, columns of items as in an export that a
-- person took from Emarsys, money of orders as the ledger has it accepted – each with both values, since when, and whose
-- change it looks like.
-- figure unexpected: count(*) filter (not expected)
-- @column what: contact, item or order.
-- @column key: Customer id, or a hash where there is none (never an address); the SKU; the order's number and day.
-- @column email: Of a contact the address; stays in the warehouse.
-- @column field: String id of the field at Emarsys, opt_in for consent; column of the product file; price of an order.
-- @column ours: What it should say; null where it should be empty.
-- @column theirs: What Emarsys says.
-- @column cause: not_applied (Emarsys accepted our value and has the one before), changed_there, emptied_there,
-- not_cleared (we have no value and it has one), changed_here_since (it goes with the next export), consent_disagrees,
-- refused (Emarsys has refused what it should say now), not_collected_yet (of an item), waiting, refused, parked, too_much
-- (of an order: lines not sent yet, refused, in doubt, or more accepted than there is).
-- @column expected: It passes by itself, or is counted as another exception; nobody has to do anything here.
-- @column since: When this difference was first read (UTC).
-- @column read_at: When it was last read (UTC).
-- @column owner: Who answers for it, by policy.
-- @column next_step: What to do.
with accepted as (
    select read.*, delivered.payload, delivered.accepted_at, desired.consent, desired.derived, desired.attributes,
        coalesce(desired.customer_id, md5(read.email)) as person,
        md5(desired.payload_hash || settings.field_map_fingerprint) as wanted_hash,
        (consent = 'opt_out' and opt_in = '1') or (consent = 'opt_in' and opt_in = '2') as consent_disagrees,
        not json_contains(read.fields, delivered.payload)
            or coalesce(read.filled, 1000) > len(json_keys(delivered.payload))
            or delivered.payload_hash is distinct from wanted_hash
                and desired.attributes is not null as can_differ
    from reconciliation.contacts_read as read
    join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = read.email
        and delivered.accepted_at <= read.read_at -- what was sent meanwhile is not drift
    cross join policy.settings as settings -- before the outer join: else all is compared twice
    left join mart.contacts as desired on desired.email = read.email
    where read.ours and read.found
        and (can_differ or consent_disagrees) -- nearly all are the same: only the others are taken apart
),
read as (
    select email, read_at, cast(fields as map(varchar, varchar)) as theirs, cast(before as map(varchar, varchar)) as before,
        before_at > accepted_at as seen_since, same_since < accepted_at as unmoved, accepted_at,
        -- it goes when a person lets it, or when it changes once more
        (email, wanted_hash) in (
            select (key, payload_hash) from delivery.dead_letters
            where flow = 'contacts' and (closed_at is null or closed_by = 'dropped')
        ) as is_refused,
        cast(payload as map(varchar, varchar)) as ours, derived, attributes, person
    from accepted
    where can_differ
),
fields as (
    select
        read.email, read.person, fields.string_id as field, fields.type = 'choice' as is_choice,
        read.ours[fields.string_id] as ours,
        nullif(trim(read.theirs[fields.string_id]), '') as theirs,
        nullif(trim(read.before[fields.string_id]), '') as before,
        coalesce(read.seen_since, false) as seen_since, coalesce(read.unmoved, false) as unmoved,
        coalesce(read.is_refused, false) as is_refused, read.accepted_at, read.read_at,
        read.attributes->>fields.attribute as desired,
        coalesce(list_contains(read.derived, fields.attribute), false)
            and json_exists(read.attributes, '$."' || fields.attribute || '"') as is_ours_to_clear
    from read
    join policy.contact_fields as fields on fields.is_ours and map_contains(read.theirs, fields.string_id)
),
compared as (
    select *,
        case -- as Emarsys writes numbers is not as we do
            when ours is null then theirs is not null and is_ours_to_clear
            when theirs is null then true
            when ours = theirs then false
            else try_cast(theirs as decimal(38, 6)) is distinct from try_cast(ours as decimal(38, 6))
                or try_cast(ours as decimal(38, 6)) is null
        end as differs,
        case -- a value we leave out stays, one that was shortened is the same
            when is_choice then false
            when desired is null then ours is not null and is_ours_to_clear
            when ours is null then true
            else not starts_with(desired, ours)
                and (
                    try_cast(desired as decimal(38, 6)) is distinct from try_cast(ours as decimal(38, 6))
                    or try_cast(desired as decimal(38, 6)) is null
                )
        end as moved_on
    from fields
    where ours is distinct from theirs or desired is distinct from ours
),
earlier as (
    select records.key as email, compared.field,
        max_by(cast(records.payload as map(varchar, varchar))[compared.field], records.record_id) as value
    from compared
    join delivery.records as records on records.flow = 'contacts' and records.key = compared.email
        and records.outcome = 'accepted' and records."at" < compared.accepted_at
    where compared.differs
    group by all
),
contacts as (
    select 'contact' as what, compared.person as key, compared.email, compared.field,
        case when differs then compared.ours else compared.desired end as ours, compared.theirs,
        case
            when not differs and compared.is_refused then 'refused'
            when not differs then 'changed_here_since'
            when compared.seen_since and compared.before is not distinct from compared.ours
                then case
                    when compared.ours is null then 'not_cleared'
                    when compared.theirs is null then 'emptied_there'
                    else 'changed_there'
                end
            when earlier.email is not null and earlier.value is not distinct from compared.theirs then 'not_applied'
            when compared.unmoved then 'not_applied' -- nothing has changed there since before it was accepted
            when compared.ours is null then 'not_cleared'
            when compared.theirs is null then 'emptied_there'
            else 'changed_there'
        end as cause,
        compared.read_at
    from compared
    left join earlier on earlier.email = compared.email and earlier.field = compared.field
    where differs or moved_on
    union all
    select 'contact', person, email, 'opt_in', consent, case opt_in when '1' then 'opt_in' else 'opt_out' end,
        'consent_disagrees', read_at
    from accepted
    where consent_disagrees
),
export as (
    select exported.item, exported.taken_at, columns.name as field,
        nullif(trim(exported.columns->>columns.name), '') as theirs
    from reconciliation.catalogue_export as exported
    cross join (values ('title'), ('link'), ('image'), ('available'), ('price'), ('c_stock'), ('c_stock_state')) as columns(name)
    where json_exists(exported.columns, '$."' || columns.name || '"')
),
told as (
    select item, 'collected' as version, title, link, image, cast(available as varchar) as available,
        cast(price as varchar) as price, cast(c_stock as varchar) as c_stock, c_stock_state
    from delivery.catalogue_collected
    union all
    select item, 'published', title, link, image, cast(available as varchar), cast(price as varchar),
        cast(c_stock as varchar), c_stock_state
    from delivery.catalogue_items
),
cells as (
    select item, version, field, value
    from (unpivot told on title, link, image, available, price, c_stock, c_stock_state into name field value value)
),
items as (
    select 'item' as what, export.item as key, null as email, export.field, published.value as ours, export.theirs,
        case
            when collected.item is null or lower(collected.value) = lower(export.theirs)
                or try_cast(collected.value as decimal(18, 4)) = try_cast(export.theirs as decimal(18, 4))
                then 'not_collected_yet'
            else 'changed_there'
        end as cause,
        export.taken_at as read_at
    from export
    join cells as published
        on published.version = 'published' and published.item = export.item and published.field = export.field
    left join cells as collected
        on collected.version = 'collected' and collected.item = export.item and collected.field = export.field
    where lower(published.value) is distinct from lower(export.theirs)
        and (
            try_cast(published.value as decimal(18, 4)) is distinct from try_cast(export.theirs as decimal(18, 4))
            or try_cast(published.value as decimal(18, 4)) is null
        )
),
orders as (
    select 'order' as what, "order" || ' · ' || day as key, null as email, 'price' as field,
        cast(desired as varchar) as ours, cast(accepted as varchar) as theirs, state as cause, tenant.as_of as read_at
    from reconciliation.sales_sums
    cross join staging.tenant as tenant
    where state <> 'agrees'
),
differing as (
    select * from contacts
    union all
    select * from items
    union all
    select * from orders
),
named as (
    -- two contacts of one account are two people
    select * replace (key || case when email_from < email_to then ':' || left(md5(email), 8) else '' end as key)
    from (
        select *, min(email) over same as email_from, max(email) over same as email_to
        from differing
        window same as (partition by what, key, field)
    )
),
causes(what, cause, expected, role, next_step) as (
    values
        ('contact', 'not_applied', false, 'operations',
            'Emarsys accepted our value and does not have it: cin7-emarsys replay --since ... sends it again; if it stays, '
            || 'ask Emarsys support.'),
        ('contact', 'changed_there', false, 'marketing',
            'Somebody changes this at Emarsys: stop that, or take the field out of the field map; cin7-emarsys replay sends '
            || 'ours again.'),
        ('contact', 'emptied_there', false, 'marketing',
            'Somebody empties this at Emarsys: stop that, or take the field out of the field map; cin7-emarsys replay sends '
            || 'ours again.'),
        ('contact', 'not_cleared', false, 'marketing',
            'Something else fills this field at Emarsys: stop that, or take it out of the field map.'),
        ('contact', 'changed_here_since', true, 'operations', 'Nothing: it goes with the next export of contacts.'),
        ('contact', 'consent_disagrees', false, 'marketing',
            'Cin7 and Emarsys disagree about consent: ask the person, then correct the wrong one.'),
        ('item', 'changed_there', false, 'marketing',
            'Emarsys fetched our file and says something else: read the report of its last import in Predict Data Sources, '
            || 'then cin7-emarsys sync products; if it stays, somebody else loads products.'),
        ('item', 'not_collected_yet', true, 'operations', 'Nothing: Emarsys has it when it next fetches the file.'),
        ('contact', 'refused', true, 'operations', 'See cin7-emarsys dead-letters list --flow contacts; what was dropped stays.'),
        ('order', 'waiting', true, 'operations', 'Nothing: the lines go with the next export (cin7-emarsys sync orders).'),
        ('order', 'refused', true, 'operations', 'See cin7-emarsys dead-letters list --flow sales.'),
        ('order', 'parked', true, 'operations', 'See cin7-emarsys unknowns list --flow sales.'),
        ('order', 'too_much', false, 'operations',
            'Emarsys accepted more of this order than there is: see cin7-emarsys ledger --order; cin7-emarsys sync orders '
            || 'sends the reversal.')
)
select
    named.what, named.key, named.email, named.field, named.ours, named.theirs, named.cause, causes.expected,
    coalesce(prior.since, named.read_at) as since,
    named.read_at,
    coalesce(owners.who, causes.role) as owner,
    causes.next_step
from named
join causes on causes.what = named.what and causes.cause = named.cause
left join policy.owners as owners on owners.role = causes.role
left join reconciliation.drift as prior
    on prior.what = named.what and prior.key = named.key and prior.field = named.field and prior.cause = named.cause
