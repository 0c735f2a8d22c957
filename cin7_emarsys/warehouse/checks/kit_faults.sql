-- title: Bills of materials that are wrong, so that their kits cannot be built: {rows}
-- assets: mart.kit_faults
-- severity: warn
-- key: sku, path
-- owner: products
-- means: These kits cannot be built, so they are sold only while assembled ones are left.
-- next_step: Correct the bill in Cin7 along the path (a kit that needs itself, a component that is gone, deprecated or without a quantity); until then only assembled kits are promised.
select sku, fault, path
from mart.kit_faults
order by sku, path
