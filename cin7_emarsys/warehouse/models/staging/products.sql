-- grain: one row per product, deprecated and vanished ones included
-- key: product_id
-- meaning: Every product Cin7 knows, with text cleaned for a product file and the price tier of the policy.
-- @column product_id: Cin7's id of the product, lower case; what stock and sales are joined on.
-- @column sku: SKU as Cin7 spells it; the item id in Emarsys.
-- @column title: Name, without line breaks and characters Emarsys cannot store.
-- @column type: Stock, Service or Non Inventory.
-- @column is_stock: Stock is counted for it.
-- @column is_active: Not deprecated and still listed.
-- @column is_sellable: Marked as sold.
-- @column is_kit: Assembled from components when it is ordered.
-- @column always_drop_ship: Never leaves from own stock.
-- @column category: Name of the category.
-- @column category_key: Category in lower case without spaces around it.
-- @column brand: Name of the brand, cleaned.
-- @column description: Short text, else the long one; HTML and line breaks taken out.
-- @column image: Address of the first image that Emarsys can show.
-- @column tags: Tags as written in Cin7.
-- @column group_id: SKU of its family, for variants.
-- @column price: Price of the policy's tier; null where none is set (Cin7 writes 0).
-- @column msrp: Price of the policy's recommended-price tier, if there is one.
-- @column updated_at: Last change in Cin7 (UTC).
with tiered as (
    select products.*,
        [
            PriceTier1, PriceTier2, PriceTier3, PriceTier4, PriceTier5, PriceTier6, PriceTier7, PriceTier8,
            PriceTier9, PriceTier10
        ] as tiers
    from raw.products as products
)
select
    lower(tiered.ID) as product_id,
    trim(tiered.SKU) as sku,
    trim(regexp_replace(regexp_replace(tiered.Name, '[\x{10000}-\x{10FFFF}]', '', 'g'), '\s+', ' ', 'g')) as title,
    tiered.Type as type,
    coalesce(lower(trim(tiered.Type)) = 'stock', false) as is_stock,
    coalesce(lower(tiered.Status) <> 'deprecated', true) and tiered._missing_since is null as is_active,
    coalesce(tiered.Sellable, false) as is_sellable,
    coalesce(tiered.AutoAssembly, false) as is_kit,
    coalesce(lower(tiered.DropShipMode) = 'always drop ship', false) as always_drop_ship,
    tiered.Category as category,
    lower(trim(tiered.Category)) as category_key,
    trim(regexp_replace(tiered.Brand, '\s+', ' ', 'g')) as brand,
    nullif(trim(regexp_replace(
        regexp_replace(
            coalesce(tiered.ShortDescription, tiered.Description),
            '<[^>]*>|&nbsp;|[\x{10000}-\x{10FFFF}]', ' ', 'g'
        ),
        '\s+', ' ', 'g'
    )), '') as description,
    [
        file.DownloadUrl for file in tiered.Attachments
        if file.ContentType like 'image/%' and file.ContentType <> 'image/webp' and file.DownloadUrl is not null
    ][1] as image,
    tiered.Tags as tags,
    coalesce(families.family_sku, families.family_id) as group_id,
    nullif(greatest(tiered.tiers[settings.price_tier], 0), 0) as price,
    nullif(greatest(tiered.tiers[settings.msrp_tier], 0), 0) as msrp,
    tiered.LastModifiedOn as updated_at
from tiered
cross join policy.settings as settings
left join staging.families as families on families.product_id = lower(tiered.ID)
