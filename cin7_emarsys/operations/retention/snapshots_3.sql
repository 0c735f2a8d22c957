-- class: snapshots
-- table: raw.snapshots
-- meaning: Old snapshots; the newest ten and the last one that was believed stay.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
with newest as (select snapshot_id from raw.snapshots order by taken_at desc, snapshot_id desc limit 10),
needed as ( -- a drop of rows is compared with these
    from newest
    union all
    (select snapshot_id from raw.snapshots where trusted or released_reason is not null order by taken_at desc limit 1)
)
select rowid, taken_at as "at"
from raw.snapshots
where taken_at < $before and snapshot_id not in (select snapshot_id from needed)
