-- Items with a price that are sold, and sold out; kits apart, since their parts may be there.
select catalogue.item
from mart.catalogue as catalogue
join staging.products as products on products.product_id = catalogue.product_id and products.sku = catalogue.item
where catalogue.c_stock_state = 'out_of_stock' and products.is_sellable and not products.is_kit
    and catalogue.price is not null
order by catalogue.item
