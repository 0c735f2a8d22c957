-- What the published copy says that decides whether it is safe to send. One row; it does not change while the copy is the same.
-- Parameters: $fingerprint of the field map, $orders_minutes. What was read and not worked out since then does not count.
-- @column stock_at: When the stock was counted that is in force (UTC).
-- @column newest_trusted: The newest count can be trusted.
-- @column orders_at: When the orders were read that are in force (UTC).
-- @column customers_at: When the customers were read that are in force (UTC).
-- @column version: Newest version of the product file.
-- @column collected: Newest version that it fetched.
-- @column published_at: When the newest version was published (UTC).
-- @column unpublished: Items that say something else here than in the product file.
-- @column overpromised: Items shown as available that are not.
-- @column held: Changes held.
-- @column parked: Sales lines and events of unknown outcome.
-- @column dead: Dead letters.
-- @column unsent_contacts: Contacts that Emarsys has not accepted as they are now.
-- @column unsent_documents: Documents first read longer than $orders_minutes ago whose lines are not all at Emarsys.
-- @column contacts: Contacts there are.
-- @column history_complete: All orders of the past have been read.
-- @column history_pending: How many have not.
select
    (select max(taken_at) from mart.availability) as stock_at,
    (select arg_max(trusted, taken_at) from raw.snapshots) as newest_trusted,
    (select max(least(completed_at, as_of)) from raw.watermarks, staging.tenant where entity = 'sale_headers') as orders_at,
    (select max(least(completed_at, as_of)) from raw.watermarks, staging.tenant where entity = 'customers') as customers_at,
    (select max(version) from delivery.publications) as version,
    (select max(version) from delivery.publications where collected_at is not null) as collected,
    (select published_at from delivery.publications order by version desc limit 1) as published_at,
    (
        select count(*)
        from mart.catalogue as wanted
        left join delivery.catalogue_items as told on told.item = wanted.item
        where told.available is distinct from wanted.available or told.price is distinct from wanted.price
    ) as unpublished,
    (select count(*) from delivery.catalogue_items as told
        where told.available and not exists (
            from mart.availability as states where states.sku = told.item and states.available
        )) as overpromised,
    (select count(*) from mart.held_flips where ended_at is null and released_at is null) as held,
    (select count(*) from delivery.records where outcome = 'unknown' and flow in ('sales', 'events')) as parked,
    (select count(*) from delivery.dead_letters where closed_at is null) as dead,
    (
        select count(*)
        from mart.contacts as wanted
        where not exists (
            from delivery.delivered as delivered
            where delivered.flow = 'contacts' and delivered.key = wanted.email
                and delivered.payload_hash = md5(wanted.payload_hash || $fingerprint)
        )
    ) as unsent_contacts,
    (
        select count(*)
        from reconciliation.document_books as books
        cross join staging.tenant as tenant
        where books.open <> 0
            and coalesce(books.first_seen_at < tenant.as_of - to_minutes($orders_minutes), tenant.history_complete)
    ) as unsent_documents,
    (select count(*) from mart.contacts) as contacts,
    (select any_value(history_complete) from staging.tenant) as history_complete,
    (select any_value(history_pending) from staging.tenant) as history_pending
