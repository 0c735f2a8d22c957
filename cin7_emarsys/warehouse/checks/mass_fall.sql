-- title: Items that would go out of stock at once: {rows}
-- assets: mart.catalogue
-- key: item
-- owner: operations
-- means: A large part of the shop goes out of stock at once; when it is a mistake, its repair mails everybody.
-- due_hours: 4
-- next_step: They are published as not available. Find out today whether stock is really gone: a wrong fall sends back-in-stock mails when it is repaired.
with falls as (
    select catalogue.item, catalogue.c_stock_state, catalogue.held_reason
    from mart.catalogue as catalogue
    join mart.published as known on known.item = catalogue.item and known.available
    where not catalogue.available
)
select falls.*
from falls, policy.settings as settings
where (select count(*) from falls)
    > greatest(settings.min_flips, settings.max_flip_share * (select count(*) from mart.published))
order by item
