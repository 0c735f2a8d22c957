-- How many items each filter of the availability page finds. One row.
select
    count(*) as "all",
    count(*) filter (is_mis_mailed) as mis_mailed,
    count(*) filter (is_negative) as negative,
    count(*) filter (is_kit) as kits,
    count(*) filter (coalesce(at_emarsys, published) is distinct from c_stock) as differs,
    count(*) filter (reason is not null) as held
from temp.items
