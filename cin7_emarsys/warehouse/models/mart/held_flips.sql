-- grain: one row per hold, kind and item; ended ones are kept
-- key: hold_id, kind, item
-- feedback: mart.held_flips, operations.releases
-- meaning: Changes that would send mails to many people at once, held until somebody releases them.
-- Everything else is published; a held item keeps what Emarsys knows.
-- @column hold_id: The hold, as given to the release command.
-- @column kind: rise (back in stock) or price.
-- @column product_id: The product.
-- @column item: Its item id.
-- @column was: What Emarsys knows.
-- @column wanted: What it would be told.
-- @column reason: Why it is held.
-- @column held_at: Since when (UTC, Cin7's clock).
-- @column released_at: When somebody released it.
-- @column ended_at: When it was no longer a change: it went back, or it was published after a release.
with wanted as (
    select 'rise' as kind, asked.product_id, asked.sku as item, 'false' as was, 'true' as wanted,
        cast(null as double) as change,
        -- what our last file shows already is a rise for Emarsys too, but it is not taken back; what waits is no rise yet
        coalesce(not asked.prior_available and asked.reason is null and asked.asks, false) as is_new,
        coalesce(asked.prior_available or (asked.asks and asked.reason is null), false) as counts,
        asked.by_policy
    from mart.confirmations as asked
    join mart.published as known on known.item = asked.sku and not known.available
    where asked.is_offered and (asked.ats > 0 or asked.distrust is not null)
        and (asked.prior_available or asked.confirmed > 0)
    union all
    select 'price', product_id, item, cast(known_price as varchar), cast(price as varchar), change, true, true, false
    from mart.prices
    where change is not null and not no_price
),
prior as (select * from mart.held_flips where ended_at is null),
still as (
    select prior.hold_id, wanted.kind, wanted.product_id, wanted.item, wanted.was, wanted.wanted, prior.reason,
        prior.held_at, coalesce(prior.released_at, releases.released_at) as released_at
    from wanted
    join prior on prior.kind = wanted.kind and prior.item = wanted.item
    left join (select hold_id, max(released_at) as released_at from operations.releases group by hold_id) as releases
        on releases.hold_id = prior.hold_id
    -- a release is for the change that somebody looked at, not for whatever comes after it
    where coalesce(prior.released_at, releases.released_at) is null or prior.wanted = wanted.wanted
),
fresh as (
    select wanted.*
    from wanted
    where wanted.is_new and not exists (from still where still.kind = wanted.kind and still.item = wanted.item)
),
size as (select count(*) as items from mart.published),
counted as (
    select kind, count(*) as changes
    from wanted
    where counts and not exists (
        from still
        -- what waits for longer than a day is somebody's oversight, not part of what comes today
        where still.kind = wanted.kind and still.item = wanted.item
            and (still.released_at is not null or still.held_at < (select as_of - interval 1 day from staging.tenant))
    )
    group by kind
),
judged as (
    select fresh.*, counted.changes, size.items,
        case
            when fresh.kind = 'rise'
                and counted.changes > greatest(settings.min_flips, settings.max_flip_share * size.items)
                then format('{} items would come back into stock at once', counted.changes)
            when fresh.kind = 'rise' and fresh.by_policy
                then 'it would come back into stock because the policy on locations has changed'
            when fresh.kind = 'price' and abs(fresh.change) > settings.max_price_change
                then format('price would change by {:.0f} %', fresh.change * 100)
            when fresh.kind = 'price' and counted.changes > 1
                and counted.changes > settings.max_flip_share * size.items
                then format('{} prices would change at once', counted.changes)
        end as reason
    from fresh
    join counted on counted.kind = fresh.kind
    cross join size
    cross join policy.settings as settings
),
stamped as (
    select case kind when 'rise' then 'H' else 'P' end || strftime(tenant.as_of, '%Y%m%dT%H%M%S') as stamp,
        tenant.as_of, judged.*
    from judged, staging.tenant as tenant
    where reason is not null
)
select hold_id, kind, product_id, item, was, wanted, reason, held_at, released_at, cast(null as timestamp) as ended_at
from still
union all
select
    -- a hold made again at the same moment, after a release, needs a release of its own
    stamp || case
        when exists (from mart.held_flips as old where old.hold_id = stamp and old.released_at is not null) then 'b'
        else ''
    end,
    kind, product_id, item, was, wanted, reason, as_of, null, null
from stamped
union all
select hold_id, kind, product_id, item, was, wanted, reason, held_at, released_at,
    coalesce(ended_at, (select as_of from staging.tenant)) as ended_at
from mart.held_flips as old
where ended_at is not null or not exists (from still where still.kind = old.kind and still.item = old.item)
