-- grain: one row per contact that Emarsys has from us
-- key: email
-- feedback: delivery.delivered
-- meaning: Contacts as Emarsys accepted them, under the address they have now: one that was moved to another address by
-- its external id is there under the newer one only.
-- @column email: The address.
-- @column external_id: The external id it was given; null where contacts are known by e-mail alone.
with field as (select max(string_id) as string_id from policy.contact_fields where attribute = 'external_id'),
sent as (
    select delivered.key as email, delivered.accepted_at,
        cast(delivered.payload as map(varchar, varchar))[field.string_id] as external_id
    from delivery.delivered as delivered
    cross join field
    where delivered.flow = 'contacts'
)
select email, external_id
from sent
qualify external_id is null
    or row_number() over (partition by external_id order by accepted_at desc, email) = 1
