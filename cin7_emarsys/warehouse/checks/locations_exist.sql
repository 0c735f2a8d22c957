-- title: Sellable locations of the policy that Cin7 does not know: {rows}
-- assets: staging.locations
-- key: location
-- owner: operations
-- means: Stock that could be sold is not promised, because the policy names a place that Cin7 does not know.
-- next_step: Correct the name in merchant.toml; a location renamed in Cin7 must be renamed there too, or its stock counts for nothing.
with known as (
    select location as name, location_key as key from staging.locations
    union all
    select locations.location || ': ' || bins.bin || ' (a bin: name its location, and block the other bins)',
        bins.location_key || ': ' || bins.bin_key
    from staging.bins as bins
    join staging.locations as locations on locations.location_key = bins.location_key
)
select sellable.location, (
    select string_agg(name, ', ' order by likeness desc, name)
    from (
        select name, jaro_winkler_similarity(key, lower(trim(sellable.location))) as likeness
        from known
        order by likeness desc, name
        limit 3
    )
) as nearest
from policy.sellable_locations as sellable
where not exists (
    from staging.locations as locations where locations.location_key = lower(trim(sellable.location))
)
