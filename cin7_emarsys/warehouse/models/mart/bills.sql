-- grain: one row per kit whose bill is sound and stock component
-- key: kit_id, component_id
-- empty without: staging.components
-- meaning: The bills that kits are built by, without those that kit_faults names.
-- @column kit_id: The kit.
-- @column component_id: The component.
-- @column makes: Units of the kit that one run makes.
-- @column need: Units of the component for one run.
-- @column kit_level: How many bills are above the kit at most: 0 for a kit that is a component of nothing.
-- @column is_nested: Some component of it is a kit itself.
-- @column is_shared: Another kit uses the component too, so each promises the full figure.
with recursive sound as (
    select kit_id, component_id, makes, need
    from staging.components
    where kit_id not in (select kit_id from mart.kit_faults)
),
levels as (
    select kit_id, 0 as level from sound
    union
    select parts.kit_id, levels.level + 1
    from levels
    join sound as bill on bill.kit_id = levels.kit_id
    join sound as parts on parts.kit_id = bill.component_id
)
select
    sound.kit_id,
    sound.component_id,
    sound.makes,
    sound.need,
    (select max(level) from levels where levels.kit_id = sound.kit_id) as kit_level,
    bool_or(sound.component_id in (select kit_id from sound)) over (partition by sound.kit_id) as is_nested,
    count(*) over (partition by sound.component_id) > 1 as is_shared
from sound
