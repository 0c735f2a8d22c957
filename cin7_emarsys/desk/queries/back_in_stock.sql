-- Items that came back since $since (UTC), and items that have units again and are not announced, with the reason.
-- Parameters: $since, $filter (all, announced, held), $search (part of SKU or title, or null), $limit, $offset.
-- @column total: Items that answer filter and search.
-- @column item: SKU.
-- @column status: announced (Emarsys has fetched it), published (not fetched yet), waiting (the next file), held, not_believed.
-- @column at: When it came back, or since when it is held (UTC).
-- @column units: Units that may be promised now.
-- @column reason: Why it is not announced; else null.
-- @column hold_id: The hold that a person may release; else null.
with came_back as (
    select events.product_id, events.sku, max(events.changed_at) as at
    from mart.availability_events as events
    join mart.availability as states
        on states.product_id = events.product_id and states.sku = events.sku and states.available
    where events.changed_at >= $since and events.to_available and not events.from_available
    group by all
),
holds as (
    select product_id, item, any_value(hold_id) as hold_id, min(held_at) as held_at, any_value(reason) as reason
    from mart.held_flips
    where kind = 'rise' and ended_at is null and released_at is null
    group by all
),
found as (
    select came_back.product_id, came_back.sku as item,
        case
            when had.available and had.c_stock > 0 then 'announced'
            when told.available and told.c_stock > 0 then 'published'
            else 'waiting'
        end as status,
        came_back.at, null as reason, null as hold_id
    from came_back
    left join delivery.catalogue_items as told on told.item = came_back.sku
    left join delivery.catalogue_collected as had on had.item = came_back.sku
    union all
    select asking.product_id, asking.sku,
        case when holds.hold_id is not null then 'held' else 'not_believed' end,
        coalesce(holds.held_at, asking.seen_at), states.reason, holds.hold_id
    from mart.confirmations as asking
    join mart.availability as states on states.product_id = asking.product_id and states.sku = asking.sku
    left join holds on holds.product_id = asking.product_id and holds.item = asking.sku
    where asking.asks and not states.available and (states.reason is not null or holds.hold_id is not null)
),
chosen as (
    select found.item, products.title, found.status, found.at, states.ats as units, found.reason, found.hold_id
    from found
    join staging.products as products on products.product_id = found.product_id
    join mart.availability as states on states.product_id = found.product_id and states.sku = found.item
    where case $filter
            when 'announced' then found.status in ('announced', 'published', 'waiting')
            when 'held' then found.status in ('held', 'not_believed')
            else true
        end
        and (
            $search is null or contains(lower(found.item), lower($search))
            or contains(lower(products.title), lower($search))
        )
)
select (select count(*) from chosen) as total, *
from chosen
order by status in ('held', 'not_believed') desc, "at" desc, item
limit $limit offset $offset
