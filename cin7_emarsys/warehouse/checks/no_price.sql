-- title: Products sold without a price in the policy's tier: {rows}
-- assets: mart.prices
-- severity: warn
-- key: item
-- owner: products
-- means: These items are sold at the last price known, or not offered at all.
-- of: mart.catalogue
-- next_step: Enter the price in Cin7; until then the last published price stays, and what never had one is not available.
select prices.item, prices.price as last_published_price
from mart.prices as prices
join staging.products as products on products.product_id = prices.product_id
where prices.no_price and products.is_active and products.is_sellable
order by prices.item
