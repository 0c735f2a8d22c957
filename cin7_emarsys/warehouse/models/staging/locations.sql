-- grain: one row per location of the account (bins apart)
-- key: location_id
-- meaning: Where stock lies. (Which locations we sell from is policy, not a property of the place.)
-- @column location_id: Cin7's id of the location.
-- @column location: Name of the location.
-- @column location_key: Name in lower case without spaces around it; what other tables are joined on.
-- @column is_default: The account's default location.
-- @column is_deprecated: No longer used.
-- @column is_blocked: A staging or fixed-asset location: never promised, even when it is named as sellable.
select
    places.ID as location_id,
    places.Name as location,
    lower(trim(places.Name)) as location_key,
    coalesce(places.IsDefault, false) as is_default,
    coalesce(places.IsDeprecated, false) as is_deprecated,
    coalesce(places.IsStaging, false) or coalesce(places.FixedAssetsLocation, false) as is_blocked
from raw.locations as places
where places.ParentID is null
