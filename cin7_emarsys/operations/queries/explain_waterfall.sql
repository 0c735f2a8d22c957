-- The waterfall of one product as it stood at a moment. Parameters: $product_id, $at (UTC).
select * exclude (valid_from, valid_to), valid_from as since
from mart.ats
where product_id = $product_id and valid_from <= $at and (valid_to is null or valid_to > $at)
