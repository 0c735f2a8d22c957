-- grain: one row per location and bin as a stock row spells them
-- key: location, bin
-- meaning: Which place the rows of the newest trusted snapshot mean, and what keeps the stock there from being sold.
-- @column location: Location as on the row.
-- @column bin: Bin as on the row; null for none.
-- @column location_key: Location, lower case.
-- @column bin_key: Bin, lower case; null for none.
-- @column bar: non_sellable_location or blocked_bin; null where nothing keeps it.
with named as (select distinct Location, Bin from raw.availability),
read as (
    select Location, Bin,
        coalesce(within, lower(trim(Location))) as location_key,
        coalesce(lower(trim(Bin)), trim(substr(lower(Location), length(within) + 3))) as bin_key
    from (
        -- a bin can be named within the location, as "Location: Bin"
        select named.Location, named.Bin, case
            when lower(trim(named.Location)) not in (select location_key from staging.locations) then (
                select max_by(location_key, length(location_key))
                from staging.locations
                where starts_with(lower(named.Location), location_key || ': ')
            )
        end as within
        from named
    )
)
select
    read.Location as location,
    read.Bin as bin,
    read.location_key,
    read.bin_key,
    case
        when not exists (
            from policy.sellable_locations as sellable where lower(trim(sellable.location)) = read.location_key
        ) then 'non_sellable_location'
        when exists (
            from staging.locations as locations
            where locations.location_key = read.location_key and locations.is_blocked
        ) or exists (
            from staging.bins as bins
            where bins.location_key = read.location_key and bins.bin_key = read.bin_key and bins.is_staging
        ) or exists (
            from policy.blocked_bins as blocked
            where lower(trim(blocked.entry)) in (read.bin_key, read.location_key || ': ' || read.bin_key)
        ) then 'blocked_bin'
    end as bar
from read
