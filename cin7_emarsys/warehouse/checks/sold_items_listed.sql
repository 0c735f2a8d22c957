-- title: Items that were sold and are not in the product file: {rows}
-- assets: mart.catalogue
-- key: item
-- owner: products
-- means: Emarsys cannot tell what these customers bought, so it recommends wrongly.
-- of: mart.catalogue
-- next_step: Emarsys joins sales to the product file by item; find the SKU in Cin7 and see why it is left out.
select lines.item, count(*) as lines
from mart.sales_lines as lines
where not exists (from mart.catalogue as listed where listed.item = lines.item)
group by lines.item
