-- class: snapshots
-- table: raw.snapshot_untrusted_skus
-- meaning: SKUs of old snapshots that could not be trusted; those of the newest ten stay.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
with newest as (select snapshot_id from raw.snapshots order by taken_at desc, snapshot_id desc limit 10),
needed as ( -- a drop of rows is compared with these
    from newest
    union all
    (select snapshot_id from raw.snapshots where trusted or released_reason is not null order by taken_at desc limit 1)
)
select skus.rowid, snapshots.taken_at as "at"
from raw.snapshot_untrusted_skus as skus
join raw.snapshots as snapshots on snapshots.snapshot_id = skus.snapshot_id
where snapshots.taken_at < $before and skus.snapshot_id not in (select snapshot_id from needed)
