-- An item that no product carries now (renamed, or gone from Cin7), and the SKU its product has today. Parameter: $sku.
select catalogue.product_id, catalogue.item as sku, catalogue.title, catalogue.c_stock_state as state,
    catalogue.available, catalogue.c_stock, catalogue.held_reason as reason, products.sku as renamed_to
from mart.catalogue as catalogue
left join staging.products as products on products.product_id = catalogue.product_id
where lower(catalogue.item) = lower(trim($sku))
order by catalogue.item = trim($sku) desc
limit 1
