-- What was counted, decided and told of one item, newest first. Parameters: $product_id, $sku, $limit.
-- @column at: When (UTC).
-- @column kind: snapshot, decision, payload or answer.
-- @column says: In words.
-- @column detail: The figures; null where there are none.
select "at", kind, says, detail
from (
    select valid_from as "at", 'snapshot' as kind,
        format('Counted: {:g} on hand, {:d} available to sell', on_hand::double, ats) as says,
        to_json(struct_pack(
            snapshot_id, shortfall, non_sellable_location := charged_non_sellable_location,
            blocked_bin := charged_blocked_bin, expired := charged_expired, allocated := charged_allocated, kit_build,
            open_unallocated := charged_open_unallocated, reserved := charged_reserved, buffer := charged_buffer, oversold
        ))::varchar as detail
    from mart.ats
    where product_id = $product_id
    union all
    select changed_at, 'decision',
        'State ' || replace(from_state, '_', ' ') || ' → ' || replace(to_state, '_', ' '), reason
    from mart.availability_events
    where product_id = $product_id
    union all
    select looked_at, 'snapshot', 'Read once more, live' || coalesce(': ' || trouble, ''), null
    from raw.second_looks
    where product_id = $product_id
    union all
    select held_at, 'decision', 'Held (' || hold_id || '): ' || was || ' → ' || wanted, reason
    from mart.held_flips
    where item = $sku
    union all
    select released_at, 'decision', 'Released by a person (' || hold_id || ')', null
    from mart.held_flips
    where item = $sku and released_at is not null
    union all
    select files.published_at, 'payload',
        format('Product file {:d}: ', items.version) || case when items.available then 'available' else 'not available' end
            || format(', {:d} units', items.c_stock) || coalesce(format(', price {:.2f}', items.price::double), ''),
        to_json(items)::varchar
    from delivery.catalogue_history as items
    join delivery.publications as files on files.version = items.version
    where items.item = $sku
    union all
    select files.collected_at, 'answer', format('Emarsys fetched product file {:d}', files.version), null
    from delivery.catalogue_history as items
    join delivery.publications as files on files.version = items.version
    where items.item = $sku and files.collected_at is not null
)
order by "at" desc nulls last, kind
limit $limit
