-- grain: one row per item of the product file
-- key: item
-- feedback: mart.catalogue
-- meaning: The product file Emarsys fetches: all that is or was sold. An item once listed stays for ever, not available
-- when it can no longer be bought, because purchase histories point to it. Products without stock keeping (services,
-- vouchers) are listed, not available.
-- @column product_id: The product; null where Cin7 no longer has it.
-- @column item: Item id: the SKU, case-sensitive.
-- @column title: Name.
-- @column link: Address in the shop.
-- @column image: Address of its picture.
-- @column category: Category.
-- @column available: May be recommended: can be bought now.
-- @column price: Price; null where none was ever known.
-- @column msrp: Recommended price.
-- @column brand: Brand.
-- @column description: Description.
-- @column group_id: The article it is a variant of.
-- @column c_stock: Units that can be promised.
-- @column c_low_stock: Units for the low-stock programme; 999999 while not available.
-- @column c_stock_state: Stock state.
-- @column held_reason: Why an item does not say what Cin7 says now; null where it does.
-- @column payload_hash: Hash of what Emarsys would get.
with line_items as (
    select product_id, sku, any_value(title) as title
    from staging.document_lines
    where not is_charge
    group by product_id, sku
),
sold as (select distinct product_id from line_items),
price_holds as (
    select item, any_value(hold_id) as hold_id, any_value(reason) as reason
    from mart.held_flips
    where kind = 'price' and released_at is null and ended_at is null
    group by item
),
listed as (
    select
        products.product_id, products.sku as item, coalesce(nullif(products.title, ''), products.sku) as title,
        products.image, replace(products.category, '|', '/') as category,
        coalesce(states.available, false) as available,
        case when price_holds.item is null then prices.price else prices.known_price end as price,
        prices.msrp, products.brand, products.description, products.group_id,
        coalesce(states.c_stock, 0) as c_stock,
        coalesce(states.c_low_stock, 999999) as c_low_stock,
        coalesce(states.state, 'discontinued') as c_stock_state,
        nullif(concat_ws('; ',
            states.reason,
            'price held ' || price_holds.hold_id || ': ' || price_holds.reason,
            case when prices.no_price and prices.price is not null then 'no_price' end
        ), '') as held_reason
    from staging.products as products
    join mart.prices as prices on prices.product_id = products.product_id
    left join mart.availability as states
        on states.product_id = products.product_id and states.sku = products.sku
    left join price_holds on price_holds.item = products.sku
    where products.sku is not null
        and (
            products.is_sellable
            or exists (from sold where sold.product_id = products.product_id)
            or exists (from mart.catalogue as before where before.item = products.sku)
        )
        -- stock not yet seen in a trusted snapshot: listing it now would make its first count look like a restock
        and (states.product_id is not null or exists (from mart.catalogue as before where before.item = products.sku))
    qualify row_number() over (
        partition by products.sku order by products.is_active desc, products.updated_at desc nulls last, products.product_id
    ) = 1
),
no_longer_listed as (
    select product_id, item, title, image, category, false as available, price, msrp, brand, description, group_id,
        cast(0 as bigint) as c_stock, cast(999999 as bigint) as c_low_stock, 'discontinued' as c_stock_state,
        case
            when exists (
                from staging.products as products
                where products.product_id = before.product_id and products.sku <> before.item
            ) then 'renamed'
            else 'gone_from_cin7'
        end as held_reason
    from mart.catalogue as before
    where not exists (from listed where listed.item = before.item)
),
only_in_documents as (
    select any_value(product_id) as product_id, trim(sku) as item, coalesce(any_value(title), trim(sku)) as title,
        'gone_from_cin7' as held_reason
    from line_items
    where trim(sku) <> ''
        and not exists (from staging.products as products where lower(products.sku) = lower(trim(line_items.sku)))
        and not exists (from mart.catalogue as before where before.item = trim(line_items.sku))
    group by trim(sku)
),
everything as (
    select * from listed
    union all by name
    select * from no_longer_listed
    union all by name
    select *, false as available, cast(0 as bigint) as c_stock, cast(999999 as bigint) as c_low_stock,
        'discontinued' as c_stock_state
    from only_in_documents
),
linked as (
    select everything.* exclude (image, category), replace(settings.link_template, '{sku}', url_encode(item)) as link,
        coalesce(everything.image, settings.no_image) as image,
        coalesce(everything.category, settings.no_category) as category
    from everything, policy.settings as settings
)
select
    product_id, item, title, link, image, category, available, cast(price as decimal(18, 4)) as price,
    cast(msrp as decimal(18, 4)) as msrp, brand, description, group_id, c_stock, c_low_stock, c_stock_state,
    held_reason,
    md5(concat_ws(
        chr(31), item, title, link, coalesce(image, ''), coalesce(category, ''), available, coalesce(price::varchar, ''),
        coalesce(msrp::varchar, ''), coalesce(brand, ''), coalesce(description, ''), coalesce(group_id, ''), c_stock,
        c_low_stock, c_stock_state
    )) as payload_hash
from linked
