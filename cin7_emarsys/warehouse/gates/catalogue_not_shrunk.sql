-- title: The product file would be much smaller than the one published last
-- assets: mart.catalogue
-- guards: catalogue
-- blocking: true
-- key: items_published
-- owner: operations
-- means: The product file is not published: Emarsys goes on with yesterday's stock and prices.
-- due_hours: 4
-- next_step: Find out why products are gone (a reading cut short, a lost warehouse) before publishing; items that are left out and come back later are announced as back in stock.
select now.items as items_now, before.items as items_published, settings.max_shrink
from (select count(*) as items from mart.catalogue) as now,
    (select count(*) as items from delivery.catalogue_items) as before,
    policy.settings as settings
where now.items < before.items * (1 - settings.max_shrink)
