-- Since when anything is known of whatever carries or carried a SKU, and what it was called at a moment.
-- Parameters: $sku, $at (UTC; null: now).
select min(valid_from) as since,
    any_value(sku) filter ($at is not null and valid_from <= $at and (valid_to is null or valid_to > $at)) as called
from mart.evidence
where product_id in (select product_id from mart.evidence where lower(sku) = lower(trim($sku)))
