-- One product by its SKU: exact spelling first, else whatever letter case. Parameter: $sku.
select product_id, sku, title, type, is_active, is_sellable
from staging.products
where lower(sku) = lower(trim($sku))
order by sku = $sku desc, is_active desc, product_id
limit 1
