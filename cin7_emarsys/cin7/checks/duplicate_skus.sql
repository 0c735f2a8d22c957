-- title: SKUs of more than one active product: {rows}
-- assets: raw.products
-- severity: warn
-- key: sku
-- owner: products
-- means: Two products sell under one SKU, so marketing shows only one of them.
-- next_step: Give each product a SKU of its own in Cin7; until then one of them is published.
select upper(trim(SKU)) as sku, count(*) as products, string_agg(ID, ', '
order by ID) as ids
from raw.products
where _missing_since is null and coalesce(lower(Status), '') <> 'deprecated'
group by all
having count(*) > 1
