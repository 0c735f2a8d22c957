-- What Emarsys was last told of an item, and whether it has fetched it. Parameter: $sku.
select items.version, items.available, items.price, items.c_stock, items.c_stock_state, publications.published_at,
    publications.collected_at
from delivery.catalogue_items as items
left join delivery.publications as publications on publications.version = items.version
where items.item = $sku
