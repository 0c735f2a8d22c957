-- grain: one row per product whose state is known
-- key: product_id
-- meaning: The stock state of each product by the newest trusted snapshot. A fall is taken at once, unless
-- rows vanished and were not looked for. A rise needs enough
-- units in several snapshots, must not be held, and is read again before it is believed; until then all stays as it was.
-- @column product_id: The product.
-- @column sku: Its SKU.
-- @column state: in_stock, low_stock, out_of_stock, not_tracked or discontinued.
-- @column available: Can be bought now: units are there, it is marked as sold and has a price.
-- @column c_stock: Units to publish.
-- @column c_low_stock: Units to publish for the low-stock programme: 999999 while not available, and rising again only
-- above the threshold plus its hysteresis.
-- @column ats: Units available to sell, as computed.
-- @column snapshot_id: Newest trusted snapshot.
-- @column taken_at: When the figures were first as they are (UTC).
-- @column reason: Why the state is not what the figures alone say; null where it is.
-- @column prior_state: State that the product file gave the item last; null at first sight.
-- @column prior_available: Available there.
with holds as (
    select item, any_value(hold_id) as hold_id, any_value(reason) as reason
    from mart.held_flips
    where kind = 'rise' and released_at is null and ended_at is null
    group by item
),
parts as (
    select product_id, product_id as part_id from mart.confirmations
    union
    select kit_id, component_id from mart.kit_components where limits
),
-- a look at a product is a look at each of its parts: units of its own may be fewer, as far as enough is left
looks as (
    select
        parts.product_id, count(look.product_id) = count(*) as is_whole, min(look.trouble) as trouble,
        coalesce(sum(look.lost) filter (parts.part_id = parts.product_id), 0) as lost,
        coalesce(sum(look.lost) filter (parts.part_id <> parts.product_id), 0) as lost_by_parts,
        coalesce(sum(look.gained), 0) as gained
    from parts
    left join mart.second_looks as look on look.product_id = parts.part_id
    group by parts.product_id
),
judged as (
    select
        asked.*,
        asked.vanished and (not look.is_whole or look.trouble is not null or look.gained > 0) as is_doubtful,
        asked.distrust is not null or is_doubtful as keeps,
        case
            when not asked.is_active or not asked.is_stock then null
            when asked.distrust is not null then asked.distrust
            when not asked.is_sold then 'not_sold'
            when not asked.has_price then 'no_price'
            when is_doubtful and look.gained > 0 then 'rows_vanished: the second look still sees them'
            when is_doubtful then 'rows_vanished: ' || coalesce('second look failed: ' || look.trouble, 'second look due')
            when not asked.asks then null
            when asked.reason is not null then asked.reason
            when holds.item is not null then 'held ' || holds.hold_id || ': ' || holds.reason
            when not look.is_whole then 'second_look_due'
            when look.trouble is not null then 'second_look_failed: ' || look.trouble
            when asked.ats - look.lost < settings.restock_threshold or look.lost_by_parts > 0 then 'second_look_saw_less'
        end as why
    from mart.confirmations as asked
    cross join policy.settings as settings
    left join holds on holds.item = asked.sku
    left join looks as look on look.product_id = asked.product_id
    where asked.distrust is null or asked.is_known
),
decided as (
    select
        *,
        case
            when not is_offered then false
            when keeps then prior_available
            when why is not null then false
            else ats > 0
        end as available
    from judged
),
counted as (
    select
        decided.*,
        case
            when not available then 0
            when keeps then prior_stock
            else ats
        end as c_stock,
        case
            when not available then 999999
            when keeps then prior_low_stock
            when prior_low_stock < settings.low_stock_threshold
                and ats <= settings.low_stock_threshold + settings.low_stock_hysteresis
                then least(ats, settings.low_stock_threshold - 1)
            else ats
        end as c_low_stock,
        settings.low_stock_threshold
    from decided, policy.settings as settings
)
select
    product_id,
    sku,
    case
        when not is_active then 'discontinued'
        when not is_stock then 'not_tracked'
        when not is_sold then 'discontinued'
        when not available then 'out_of_stock'
        when keeps then prior_state
        when c_low_stock < low_stock_threshold then 'low_stock'
        else 'in_stock'
    end as state,
    available,
    cast(c_stock as bigint) as c_stock,
    cast(c_low_stock as bigint) as c_low_stock,
    ats,
    snapshot_id,
    seen_at as taken_at,
    why as reason,
    prior_state,
    prior_available
from counted
