-- title: Items of the product file that lack something Emarsys needs, or are there twice: {rows}
-- assets: mart.catalogue
-- guards: catalogue
-- blocking: true
-- key: item
-- owner: products
-- means: The product file is not published: Emarsys goes on with yesterday's stock and prices.
-- due_hours: 4
-- next_step: Correct the product in Cin7 (name, SKU) or the link template; Emarsys drops such items, and an item that comes back is announced as back in stock.
select item, count(*) as times, bool_or(title is null or title = '') as without_title,
    bool_or(link is null or link not like 'http%') as without_link, bool_or(available and price is null) as without_price
from mart.catalogue
group by item
having item is null or item = '' or times > 1 or without_title or without_link or without_price
