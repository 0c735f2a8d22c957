-- grain: one row per contact that Emarsys accepted from us, by the address it had then
-- key: email
-- feedback: delivery.delivered
-- meaning: Contacts as Emarsys accepted them. One that is known by its external id goes with its account to a new address;
-- then nobody is left at the old one, and what still names that one means the new one.
-- @column email: The address.
-- @column external_id: The external id it was given; null where contacts are known by e-mail alone.
-- @column moved_to: The address its account has now, to which the contact is moved; null where it is still at this one, or
-- somebody else has this one by now.
with field as (select max(string_id) as string_id from policy.contact_fields where attribute = 'external_id'),
sent as (
    select delivered.key as email, delivered.accepted_at,
        cast(delivered.payload as map(varchar, varchar))[field.string_id] as external_id
    from delivery.delivered as delivered
    cross join field
    where delivered.flow = 'contacts'
),
known as (
    select email, external_id,
        case when external_id is not null
            then first_value(email) over (partition by external_id order by accepted_at desc, email)
        end as newest
    from sent
)
select known.email, known.external_id,
    case when known.email not in (select email from staging.contacts)
        then nullif(coalesce(accounts.email, known.newest), known.email)
    end as moved_to
from known
left join staging.customers as accounts on accounts.customer_id = known.external_id
