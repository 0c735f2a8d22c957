-- grain: one row per location of the account (bins apart)
-- key: location_id
-- meaning: Where stock lies, and whether what lies there may be promised.
-- @column location_id: Cin7's id of the location.
-- @column location: Name of the location.
-- @column location_key: Name in lower case without spaces around it; what other tables are joined on.
-- @column is_default: The account's default location.
-- @column is_deprecated: No longer used.
-- @column is_sellable: Named as sellable in the policy.
-- @column is_blocked: A staging or fixed-asset location: never promised, even when it is named as sellable.
select
    places.ID as location_id,
    places.Name as location,
    lower(trim(places.Name)) as location_key,
    coalesce(places.IsDefault, false) as is_default,
    coalesce(places.IsDeprecated, false) as is_deprecated,
    sellable.location is not null as is_sellable,
    coalesce(places.IsStaging, false) or coalesce(places.FixedAssetsLocation, false) as is_blocked
from raw.locations as places
left join policy.sellable_locations as sellable on lower(trim(sellable.location)) = lower(trim(places.Name))
where places.ParentID is null
