-- title: Waterfalls that do not add up: {rows}
-- assets: mart.ats
-- key: sku
-- owner: data
-- means: What is promised of these items cannot be explained, so it cannot be relied upon.
-- next_step: A fault of this program, not of the data: report it with these rows.
select sku, on_hand, shortfall, kit_build, charged_non_sellable_location, charged_blocked_bin, charged_expired,
    charged_allocated, charged_open_unallocated, charged_reserved, charged_buffer, charged_fraction, ats
from mart.ats
where valid_to is null
    and (
        ats < 0
        or on_hand + shortfall + kit_build - charged_non_sellable_location - charged_blocked_bin - charged_expired
        - charged_allocated - charged_open_unallocated - charged_reserved - charged_buffer - charged_fraction <> ats
    )
