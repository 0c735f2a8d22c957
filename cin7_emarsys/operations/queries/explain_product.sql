-- One product by its SKU in whatever letter case, with all that was known of it at a moment: the exact spelling and the
-- active product first. Parameters: $sku, $at (UTC; null: now).
select product_id, sku, title, type, is_active, is_sellable, valid_from as known_since, state, available, c_stock, reason,
    stock_rows, open_orders, kit_orders, rules, components, bill_faults
from mart.evidence
where lower(sku) = lower(trim($sku))
    and case when $at is null then valid_to is null else valid_from <= $at and (valid_to is null or valid_to > $at) end
order by sku = trim($sku) desc, is_active desc, product_id
limit 1
