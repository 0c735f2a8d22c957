-- What decides whether a campaign may go out now, one row per thing looked at, the worst first.
-- Parameters: $now (UTC), $stock_minutes, $orders_minutes, $nightly_hours (how old what was read may be), $armed, and the
-- columns of marks.sql.
-- @column about: What it concerns: stock, customers, orders or everything.
-- @column level: good, watch or bad.
-- @column says: What was found, in words; {age} stands for the minutes of the next column.
-- @column minutes: How old it is; null where it has no age.
-- @column next_step: What to do; null where nothing.
-- @column page: The page of the desk that shows more.
with marks as (
    select
        cast($stock_at as timestamp) as stock_at,
        cast($newest_trusted as boolean) as newest_trusted,
        cast($orders_at as timestamp) as orders_at,
        cast($customers_at as timestamp) as customers_at,
        cast($version as bigint) as version,
        cast($collected as bigint) as collected,
        cast($published_at as timestamp) as published_at,
        cast($unpublished as bigint) as unpublished,
        cast($overpromised as bigint) as overpromised,
        cast($held as bigint) as held,
        cast($parked as bigint) as parked,
        cast($dead as bigint) as dead,
        cast($unsent_contacts as bigint) as unsent_contacts,
        cast($unsent_documents as bigint) as unsent_documents,
        cast($contacts as bigint) as contacts,
        cast($history_complete as boolean) as history_complete,
        cast($history_pending as bigint) as history_pending
),
ages as (
    select *,
        greatest(date_diff('minute', stock_at, $now), 0) as stock_age,
        greatest(date_diff('minute', orders_at, $now), 0) as orders_age,
        greatest(date_diff('minute', customers_at, $now), 0) as customers_age,
        greatest(date_diff('minute', published_at, $now), 0) as published_age
    from marks
),
findings as (
    select 1 as place, 'everything' as about, case when $armed then 'good' else 'watch' end as level,
        case when $armed then 'What changes is sent to Emarsys.' else 'Dry run: nothing is sent to Emarsys.' end as says,
        case when not $armed then 'Set armed = true in merchant.toml when you are ready.' end as next_step, 'flows' as page
    from ages
    union all
    select 2, 'stock',
        case
            when stock_at is null or stock_age > 4 * $stock_minutes then 'bad'
            when stock_age > $stock_minutes then 'watch'
            else 'good'
        end,
        case
            when stock_at is null then 'No count of stock that can be trusted has been read yet.'
            else 'The stock was read {age} ago.'
        end,
        case when stock_at is null or stock_age > $stock_minutes then 'Run cin7-emarsys sync stock; cin7-emarsys doctor says why it does not run by itself.' end,
        'availability'
    from ages
    union all
    select 3, 'stock', 'watch', 'The newest count of stock cannot be trusted, so the one before it stays in force.',
        'Run cin7-emarsys sync stock again; its check says what is wrong with the count.', 'availability'
    from ages
    where not newest_trusted and stock_at is not null
    union all
    select 4, 'stock', case when overpromised > 0 then 'bad' when unpublished > 0 then 'watch' else 'good' end,
        case
            when overpromised > 0 then format('Items shown as available at Emarsys, and not available: {:d}.', overpromised)
            when unpublished > 0 then format('Items different in the product file and here: {:d}.', unpublished)
            else 'The product file says what is true now.'
        end,
        case when unpublished + overpromised > 0 then 'Run cin7-emarsys sync stock: it publishes the product file.' end,
        'availability'
    from ages
    where version is not null
    union all
    select 5, 'stock', case when version is null then 'bad' else 'watch' end,
        case
            when version is null then 'No product file has been published yet.'
            when collected is null then 'Whether Emarsys has fetched the product file is not known.'
            else 'Emarsys has not fetched the newest product file, which has waited for {age}.'
        end,
        case
            when version is null then 'Run cin7-emarsys sync products.'
            when collected is null then 'See in Predict Data Sources when it was fetched last.'
            else 'Emarsys acts on it about two hours after it fetches; see in Predict Data Sources when that is due.'
        end,
        'flows'
    from ages
    where version is null or collected is distinct from version
    union all
    select 6, 'stock', 'watch', format('Changes held, because they would send many mails at once: {:d}.', held),
        'Look at them, and release those that are real.', 'back-in-stock'
    from ages
    where held > 0
    union all
    select 7, 'orders',
        case
            when orders_at is null or orders_age > 4 * $orders_minutes then 'bad'
            when orders_age > $orders_minutes then 'watch'
            else 'good'
        end,
        case when orders_at is null then 'No orders have been read yet.'
            else 'Orders were read {age} ago.' end,
        case when orders_at is null or orders_age > $orders_minutes then 'Run cin7-emarsys sync orders.' end, 'flows'
    from ages
    union all
    select 8, 'customers', 'watch',
        format('Orders of the past still to be read, so that no order, value or event leaves yet: {:d}.', history_pending),
        'Let the orders job go on; until then do not send by lifetime value or first purchase.', 'flows'
    from ages
    where not history_complete
    union all
    select 9, 'customers',
        case
            when customers_at is null or customers_age > 4 * 60 * $nightly_hours then 'bad'
            when customers_age > 60 * $nightly_hours then 'watch'
            else 'good'
        end,
        case when customers_at is null then 'No customers have been read yet.'
            else 'Customers were read {age} ago.' end,
        case when customers_at is null or customers_age > 60 * $nightly_hours then 'Run cin7-emarsys sync customers.' end,
        'flows'
    from ages
    union all
    select 10, 'customers', case when unsent_contacts * 20 > contacts then 'bad' else 'watch' end,
        format('Customers that Emarsys has not accepted as they are now: {:d} of {:d}.', unsent_contacts, contacts),
        'Run cin7-emarsys sync customers; Delivery says what waits or was refused, orphans who is missing there.', 'flows'
    from ages
    where unsent_contacts > 0
    union all
    select 10, 'orders', 'watch',
        format('Documents whose sales lines Emarsys should have, and has not: {:d}.', unsent_documents),
        'Run cin7-emarsys sync orders; Month close names them.', 'month-close'
    from ages
    where unsent_documents > 0
    union all
    select 11, 'orders', 'watch',
        format('Sales lines or events parked, because nobody knows whether Emarsys has them: {:d}.', parked),
        'Look at Emarsys, then decide: cin7-emarsys unknowns list.', 'flows'
    from ages
    where parked > 0
    union all
    select 12, 'everything', 'watch', format('Records refused by Emarsys, or tried too often: {:d}.', dead),
        'See them with cin7-emarsys dead-letters list, and correct them where they come from.', 'flows'
    from ages
    where dead > 0
    union all
    -- what the findings above say in other words is not said twice; what only keeps mail from going is no reason to wait
    select 13, 'everything',
        case
            when class in (
                'negative_availability', 'rises_refused', 'orphan_skus_at_emarsys', 'orphan_customers_at_emarsys',
                'orphan_customers_at_cin7'
            ) then 'watch'
            else 'bad'
        end,
        title || '. ' || any_value(meaning), any_value(next_step), 'exceptions'
    from operations.exceptions
    where state = 'open' and severity = 'CRITICAL'
        and class not in ('held_changes', 'unknown_outcomes', 'dead_letters', 'source_lag', 'snapshot_trusted', 'history_complete')
    group by class, title
)
select findings.about, findings.level, findings.says,
    case findings.place
        when 2 then ages.stock_age when 5 then ages.published_age when 7 then ages.orders_age when 9 then ages.customers_age
    end as minutes,
    findings.next_step, findings.page
from findings
cross join ages
order by list_position(['bad', 'watch', 'good'], level), place
