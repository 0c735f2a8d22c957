-- grain: one row per product whose state is known
-- key: product_id
-- feedback: mart.availability, delivery.catalogue_items
-- meaning: The stock state each product should have by the newest trusted snapshot, before the circuit breaker.
-- A fall is taken at once; a rise only when enough is there and the snapshot and the orders are of one moment.
-- @column product_id: The product.
-- @column sku: Its SKU.
-- @column state: in_stock, low_stock, out_of_stock, not_tracked or discontinued.
-- @column available: Can be sold now.
-- @column c_stock: Units to publish.
-- @column c_low_stock: Units to publish for the low-stock programme: 999999 while not available, and rising again only
-- above the threshold plus its hysteresis.
-- @column ats: Units available to sell, as computed.
-- @column snapshot_id: Snapshot the figures come from.
-- @column taken_at: When it was begun (UTC).
-- @column reason: Why the state is not what the figures alone say; null where it is.
-- @column prior_state: State before; null at first sight.
-- @column prior_available: Available before.
with moment as (
    select
        snapshot_id, taken_at,
        coalesce(headers_scanned_at < taken_at - interval 5 minutes, true) as scan_is_older,
        coalesce(unallocated_pending, 0) > 0 or exists (
            from staging.sales as sales
            where sales.order_status = 'AUTH_NO_ALLOC' and not sales.is_void and not sales.has_detail
        ) as is_pending
    from raw.snapshots
    where trusted
    order by taken_at desc, snapshot_id desc
    limit 1
),
prior as (
    select product_id, sku, state, available, c_stock, c_low_stock from mart.availability
    union all
    select product_id, item, c_stock_state, available, c_stock, c_low_stock
    from delivery.catalogue_items as published
    where c_stock_state is not null and not exists (
        from mart.availability as known where known.product_id = published.product_id and known.sku = published.item
    )
),
judged as (
    select
        products.product_id, products.sku, products.is_active, products.is_stock,
        ats.ats, ats.snapshot_id, ats.taken_at as seen_at, prior.sku is not null as has_prior,
        prior.state as prior_state, prior.available as prior_available, prior.c_stock as prior_stock,
        prior.c_low_stock as prior_low,
        case
            when not products.is_active or not products.is_stock then null
            when ats.ats is null then 'no_trusted_snapshot'
            when ats.untrusted_reason is not null then 'sku_untrusted: ' || ats.untrusted_reason
            when prior.sku is null or prior.available or ats.ats <= 0 then null
            when ats.ats < settings.restock_threshold then 'below_restock_threshold'
            when moment.scan_is_older then 'orders_older_than_snapshot'
            when moment.is_pending then 'unallocated_orders_not_read'
        end as reason,
        coalesce(reason like 'sku_untrusted%' or reason = 'no_trusted_snapshot', false) as keeps
    from staging.products as products
    cross join policy.settings as settings
    left join moment on true
    left join mart.ats as ats on ats.product_id = products.product_id and ats.valid_to is null
    left join prior on prior.product_id = products.product_id and prior.sku = products.sku
),
decided as (
    select
        *,
        case
            when not is_active or not is_stock then false
            when keeps then prior_available
            when reason is not null then false
            else ats > 0
        end as available
    from judged
    where not keeps or has_prior
),
counted as (
    select
        decided.*,
        case
            when keeps then prior_stock
            when not available then 0
            else ats
        end as c_stock,
        case
            when keeps then prior_low
            when not available then 999999
            when prior_low < settings.low_stock_threshold
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
        when keeps then prior_state
        when not available then 'out_of_stock'
        when c_low_stock < low_stock_threshold then 'low_stock'
        else 'in_stock'
    end as state,
    available,
    cast(c_stock as bigint) as c_stock,
    cast(c_low_stock as bigint) as c_low_stock,
    ats,
    snapshot_id,
    seen_at as taken_at,
    reason,
    prior_state,
    prior_available
from counted
