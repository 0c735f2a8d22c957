-- Items with their units: on hand and available in Cin7, ours, and what Emarsys has; items to look at first, by SKU.
-- Parameters: $filter (all, mis_mailed, negative, kits, differs, held), $search (part of SKU or title, or null), $limit, $offset.
-- @column total: Items that answer filter and search.
-- @column item: SKU.
-- @column on_hand: Units on hand, all locations.
-- @column cin7_available: On hand less allocated, as Cin7 shows it.
-- @column ours: Units that we promise now: 0 while it is not available; null where no stock is kept.
-- @column at_emarsys: Units in the product file that Emarsys fetched last; else null.
-- @column published: Units in the newest product file.
-- @column reason: Why the state is not what the figures alone say; else null.
-- @column term: The largest deduction; null where nothing is deducted.
-- @column term_units: Its units.
with chosen as (
    select *
    from temp.items
    where case $filter
            when 'mis_mailed' then is_mis_mailed
            when 'negative' then is_negative
            when 'kits' then is_kit
            when 'differs' then coalesce(at_emarsys, published) is distinct from c_stock
            when 'held' then reason is not null
            else true
        end
        and ($search is null or contains(lower(sku), lower($search)) or contains(lower(title), lower($search)))
),
page as (
    select *, (select count(*) from chosen) as total
    from chosen
    order by sku
    limit $limit offset $offset
),
allocated as (
    select product_id, sum(allocated) as units
    from staging.snapshot
    where product_id in (select product_id from page)
    group by product_id
),
terms as (
    select product_id, arg_max(term, units) as term, max(units) as units
    from (
        unpivot (
            select product_id, charged_non_sellable_location as non_sellable_location,
                charged_blocked_bin as blocked_bin, charged_expired as expired, charged_allocated as allocated,
                charged_open_unallocated as open_unallocated, charged_reserved as reserved, charged_buffer as buffer
            from mart.ats
            where valid_to is null and product_id in (select product_id from page)
        )
        on columns(* exclude product_id) into name term value units
    )
    where units > 0
    group by product_id
)
select
    page.total, page.sku as item, page.title, page.state, page.on_hand,
    page.on_hand - coalesce(allocated.units, 0) as cin7_available,
    case when page.state <> 'not_tracked' then if(page.available, page.c_stock, 0) end as ours,
    page.at_emarsys, page.published, page.reason, terms.term, terms.units as term_units
from page
left join allocated on allocated.product_id = page.product_id
left join terms on terms.product_id = page.product_id
order by page.sku
