-- What Emarsys had of an item at a moment: the newest file it had fetched by then. Parameters: $sku, $at (UTC; null: now).
select newest.version, items.available, items.price, items.c_stock, items.c_stock_state, newest.collected_at
from (
    from delivery.publications
    where collected_at is not null and ($at is null or collected_at <= $at)
    order by version desc
    limit 1
) as newest
join delivery.catalogue_history as items
    on items.version <= newest.version and coalesce(items.until_version > newest.version, true)
where items.item = $sku
