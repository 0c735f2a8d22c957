-- grain: one row per location and bin
-- key: location_key, bin_key
-- meaning: The bins of each location, and which of them hold stock that must not be promised.
-- @column location_key: Location in lower case without spaces around it.
-- @column bin_key: Bin in lower case without spaces around it.
-- @column bin: Name of the bin.
-- @column is_staging: Stock here is on its way in or out.
-- @column is_policy_blocked: Blocked by the policy (quarantine, show room, returns).
with listed as (
    select lower(trim(Name)) as location_key, unnest(Bins) as bin from raw.locations where ParentID is null
    union all
    select lower(trim(ParentName)), {
        'ID': ID, 'Name': Name, 'IsDeprecated': IsDeprecated,
        'IsStaging': coalesce(IsStaging, false) or coalesce(FixedAssetsLocation, false)
    }
    from raw.locations
    where ParentID is not null
),
bins as (
    select location_key, lower(trim(bin.Name)) as bin_key, min(bin.Name) as bin,
        bool_or(coalesce(bin.IsStaging, false)) as is_staging
    from listed
    where bin.Name is not null and location_key is not null
    group by all
)
select bins.*, exists (
    from policy.blocked_bins
    where lower(trim(entry)) in (bins.bin_key, bins.location_key || ': ' || bins.bin_key)
) as is_policy_blocked
from bins
