-- class: snapshots
-- table: raw.second_looks
-- meaning: Old second looks; those of the newest snapshot stay.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
select rowid, looked_at as "at"
from raw.second_looks
where looked_at < $before and snapshot_id is distinct from (select max(snapshot_id) from raw.availability)
