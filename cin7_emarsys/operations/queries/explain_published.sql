-- What the product file of a moment said of an item, since which version, and when Emarsys fetched that file.
-- Parameters: $sku, $at (UTC; null: now).
select newest.version, items.available, items.price, items.c_stock, items.c_stock_state, newest.published_at,
    case when $at is null or newest.collected_at <= $at then newest.collected_at end as collected_at,
    items.version as since_version
from (
    from delivery.publications where $at is null or published_at <= $at order by version desc limit 1
) as newest
join delivery.catalogue_history as items
    on items.version <= newest.version and coalesce(items.until_version > newest.version, true)
where items.item = $sku
