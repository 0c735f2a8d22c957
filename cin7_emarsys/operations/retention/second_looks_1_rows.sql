-- class: snapshots
-- table: raw.second_look_rows
-- meaning: Stock rows of old second looks; those of the newest snapshot stay.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
select stock.rowid, looks.looked_at as "at"
from raw.second_look_rows as stock
join raw.second_looks as looks on lower(looks.product_id) = lower(stock.ID)
where looks.looked_at < $before and looks.snapshot_id is distinct from (select max(snapshot_id) from raw.availability)
