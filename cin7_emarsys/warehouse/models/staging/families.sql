-- grain: one row per product that is a variant of a family
-- key: product_id
-- meaning: Which products are variants of one article, so that Emarsys can group them.
-- @column product_id: Cin7's id of the product.
-- @column family_id: Cin7's id of the family.
-- @column family_sku: The family's own SKU.
-- @column family_name: Name of the family.
with variants as (
    select ID, SKU, Name, unnest(Products) as variant from raw.product_families
)
select lower(variant.ID) as product_id, min(ID) as family_id, arg_min(SKU, ID) as family_sku,
    arg_min(Name, ID) as family_name
from variants
where variant.ID is not null
group by lower(variant.ID)
