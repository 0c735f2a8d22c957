-- grain: one row per product
-- key: product_id
-- feedback: mart.confirmations, mart.catalogue, delivery.catalogue_items
-- meaning: What the figures of each product ask for, compared with what the product file said of its item last, and how
-- many trusted snapshots in a row have said so. A snapshot counts once, however often the models are built.
-- @column product_id: The product.
-- @column sku: Its SKU.
-- @column is_active: Not deprecated and still listed in Cin7.
-- @column is_stock: Stock is counted for it.
-- @column is_sold: Marked as sold.
-- @column is_offered: Counted, active, marked as sold, and a price is known: it may be shown as available.
-- @column has_price: A price is known.
-- @column ats: Units available to sell; null before the first trusted snapshot.
-- @column snapshot_id: Newest trusted snapshot.
-- @column seen_at: When the figures were first as they are (UTC).
-- @column is_known: The product file has listed its item before; otherwise this is first sight.
-- @column prior_state: State the product file gave its item last.
-- @column prior_available: Available there.
-- @column prior_stock: Units there.
-- @column prior_low_stock: Units there for the low-stock programme.
-- @column distrust: Why the figures cannot be trusted, so that everything stays as it is; null where they can.
-- @column confirmed: Trusted snapshots in a row with enough units.
-- @column counted_in: The newest snapshot among them.
-- @column location_policy: Fingerprint of the policy on locations and bins.
-- @column by_policy: The units come from a change of that policy, not from the warehouse.
-- @column vanished: Its item would fall, or become low, after stock rows of it vanished: seen live first.
-- @column asks: The item would become available again: what decides that begins here.
-- @column reason: Why it may not yet, as far as it is known before the second look; null where nothing bars it.
with moment as (
    select
        snapshot_id,
        taken_at,
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
places as (
    select md5(concat_ws(
        '|', settings.location_mode,
        (select string_agg(lower(trim(location)), ',' order by lower(trim(location))) from policy.sellable_locations),
        (select string_agg(lower(trim(entry)), ',' order by lower(trim(entry))) from policy.blocked_bins)
    )) as location_policy
    from policy.settings as settings
),
-- a kit stands on the components that limit it
vanished as (
    select lower(product_id) as product_id from raw.vanished
    union
    select parts.kit_id
    from mart.kit_components as parts
    join raw.vanished as gone on lower(gone.product_id) = parts.component_id
    where parts.limits
),
said as (
    select item, available, c_stock, c_low_stock, c_stock_state from mart.catalogue
    union all
    select item, available, cast(c_stock as bigint), cast(c_low_stock as bigint), c_stock_state
    from delivery.catalogue_items as published
    where c_stock_state is not null
        and not exists (from mart.catalogue as known where known.item = published.item)
),
seen as (
    select
        products.product_id, products.sku, products.is_active, products.is_stock,
        products.is_sellable as is_sold, prices.price is not null as has_price,
        products.is_active and products.is_stock and products.is_sellable and prices.price is not null as is_offered,
        ats.ats, moment.snapshot_id, ats.taken_at as seen_at, moment.scan_is_older, moment.is_pending,
        said.item is not null as is_known, said.c_stock_state as prior_state, said.available as prior_available,
        said.c_stock as prior_stock, said.c_low_stock as prior_low_stock,
        case
            when not products.is_stock then null
            when ats.ats is null then 'no_trusted_snapshot'
            -- newer than the snapshot, which says nothing of it: its first count would look like a restock
            when said.item is null and not ats.in_snapshot and products.updated_at > moment.taken_at
                then 'no_trusted_snapshot'
            when ats.untrusted_reason is not null then 'sku_untrusted: ' || ats.untrusted_reason
        end as distrust,
        coalesce(ats.ats, 0) >= settings.restock_threshold as is_enough,
        before.product_id is not null as was_built, coalesce(before.confirmed, 0) as confirmed_before,
        before.counted_in as counted_before,
        coalesce(before.by_policy, false) as by_policy_before,
        coalesce(before.ats, 0) >= settings.restock_threshold as was_enough,
        before.location_policy is distinct from places.location_policy as policy_changed,
        products.product_id in (select product_id from vanished) as has_vanished, settings.low_stock_threshold,
        places.location_policy, settings.restock_threshold, settings.confirmations
    from staging.products as products
    cross join policy.settings as settings
    cross join places
    left join moment on true
    left join mart.prices as prices on prices.product_id = products.product_id
    left join mart.ats as ats on ats.product_id = products.product_id and ats.valid_to is null
    left join said on said.item = products.sku
    left join mart.confirmations as before on before.product_id = products.product_id
),
counted as (
    select
        *,
        coalesce(is_offered and is_known and not prior_available and ats > 0 and distrust is null, false) as asks,
        coalesce(
            has_vanished and is_offered and prior_available and distrust is null
            and (ats <= 0 or (prior_low_stock >= low_stock_threshold and ats < low_stock_threshold)), false
        ) as vanished,
        -- an untrusted SKU, and a snapshot that orders do not go with, neither count nor begin anew
        distrust is null and is_enough and not scan_is_older and not is_pending as counts,
        case
            when distrust is null and not is_enough then 0
            when counts and confirmed_before > 0 and counted_before = snapshot_id then confirmed_before
            when counts then confirmed_before + 1
            else confirmed_before
        end as confirmed,
        case when confirmed = 0 then null when counts then snapshot_id else counted_before end as counted_in,
        is_offered and is_known and not prior_available and is_enough
            and (by_policy_before or (was_built and policy_changed and not was_enough)) as by_policy
    from seen
)
select
    product_id, sku, is_active, is_stock, is_sold, is_offered, has_price, ats, snapshot_id, seen_at, is_known, prior_state,
    prior_available, prior_stock, prior_low_stock, distrust, cast(confirmed as integer) as confirmed, counted_in,
    location_policy, by_policy, vanished, asks,
    case
        when not asks then null
        when ats < restock_threshold then 'below_restock_threshold'
        when scan_is_older then 'orders_older_than_snapshot'
        when is_pending then 'unallocated_orders_not_read'
        when confirmed < confirmations then format('not_confirmed: in {} of {} snapshots', confirmed, confirmations)
    end as reason
from counted
