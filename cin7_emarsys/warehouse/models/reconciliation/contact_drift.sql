-- grain: one row per contact and field that says something else at Emarsys than it accepted from us
-- key: email, field
-- meaning: Contacts that are on both sides but different: fields as read back against fields as accepted, and consent.
-- @column email: The address; stays in the warehouse.
-- @column person: Customer id, or a hash where there is none; never an address.
-- @column field: String id of the field at Emarsys; opt_in for consent.
-- @column ours: What Emarsys accepted from us; null where it should be empty.
-- @column theirs: What Emarsys says now.
-- @column cause: changed_there, emptied_there, not_cleared (we have no value and it has one), consent_disagrees.
-- @column since: When it was read (UTC).
-- @column owner: Who answers for it.
-- @column next_step: What to do.
with read as (
    select read.email, read.opt_in, read.read_at, cast(read.fields as map(varchar, varchar)) as theirs,
        cast(delivered.payload as map(varchar, varchar)) as ours, desired.consent, desired.derived, desired.attributes,
        coalesce(desired.customer_id, md5(read.email)) as person
    from reconciliation.contacts_read as read
    join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = read.email
        and delivered.accepted_at <= read.read_at -- what was sent meanwhile is not drift
    left join mart.contacts as desired on desired.email = read.email
    where read.ours and read.found
),
compared as (
    select read.email, read.person, fields.string_id as field, read.ours[fields.string_id] as ours,
        nullif(trim(read.theirs[fields.string_id]), '') as theirs, read.read_at,
        coalesce(list_contains(read.derived, fields.attribute), false)
            and json_exists(read.attributes, '$."' || fields.attribute || '"') as is_cleared_by_us
    from read
    join policy.contact_fields as fields on map_contains(read.theirs, fields.string_id)
),
differing as (
    select email, person, field, ours, theirs, read_at,
        case when ours is null then 'not_cleared' when theirs is null then 'emptied_there' else 'changed_there' end
            as cause
    from compared
    where case
        when ours is null then theirs is not null and is_cleared_by_us
        when theirs is null then true
        else theirs <> ours and try_cast(theirs as decimal(38, 6)) is distinct from try_cast(ours as decimal(38, 6))
            or theirs <> ours and try_cast(ours as decimal(38, 6)) is null
    end
    union all
    select email, person, 'opt_in', consent, case opt_in when '1' then 'opt_in' else 'opt_out' end, read_at,
        'consent_disagrees'
    from read
    where (consent = 'opt_out' and opt_in = '1') or (consent = 'opt_in' and opt_in = '2')
)
select
    email, person, field, ours, theirs, cause, read_at as since, 'marketing' as owner,
    case cause
        when 'consent_disagrees'
            then 'Cin7 notes an ' || case ours when 'opt_out' then 'opt-out and Emarsys an opt-in' else 'opt-in and '
                || 'Emarsys an opt-out' end || ': ask the person, then correct the wrong one.'
        when 'not_cleared' then 'Something else fills this field at Emarsys: stop that, or take it out of the field map.'
        else 'Somebody changes this field at Emarsys: stop that, or take it out of the field map; it goes again when '
            || 'its value changes here.'
    end as next_step
from differing
