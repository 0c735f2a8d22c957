-- title: The newest stock snapshot cannot be trusted
-- assets: staging.snapshot
-- next_step: The stock of the snapshot before stays in force. Read the reason; if the change is real, release it with `sync stock --release`.
select snapshot_id, taken_at, reason, rows, total, unique_keys
from (select * from raw.snapshots order by taken_at desc, snapshot_id desc limit 1)
where not coalesce(trusted, false)
