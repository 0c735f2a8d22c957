-- The newest trusted snapshot, which a preview is worked out on.
select snapshot_id, taken_at from raw.snapshots where trusted order by taken_at desc, snapshot_id desc limit 1
