-- The SKUs most like one that is not known. Parameter: $sku.
select sku
from (select distinct sku from mart.evidence where sku is not null)
where jaro_winkler_similarity(lower(sku), lower(trim($sku))) > 0.8
order by jaro_winkler_similarity(lower(sku), lower(trim($sku))) desc, sku
limit 3
