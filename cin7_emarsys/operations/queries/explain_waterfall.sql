-- The waterfall of one product at a moment, under the SKU it had then. Parameters: $product_id, $sku, $at (UTC; null: now).
select * exclude (valid_from, valid_to), valid_from as since
from mart.ats
where product_id = $product_id and sku = $sku
    and case when $at is null then valid_to is null else valid_from <= $at and (valid_to is null or valid_to > $at) end
