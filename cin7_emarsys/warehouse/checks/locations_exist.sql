-- title: {rows} sellable locations of the policy are unknown to Cin7
-- assets: staging.locations
-- next_step: Correct the name in merchant.toml; a location renamed in Cin7 must be renamed there too, or its stock counts for nothing.
select location
from policy.sellable_locations as sellable
where not exists (
    from staging.locations as locations where locations.location_key = lower(trim(sellable.location))
)
