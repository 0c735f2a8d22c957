-- title: The newest snapshot is not trusted, so availability stays as it was
-- assets: raw.availability
-- blocking: true
-- key: snapshot_id
-- owner: operations
-- means: What marketing may promise is as old as the last stock that could be trusted.
-- next_step: Run the stock job again. What came is kept in the landing folder named in the row; if a drop of rows is real, `sync stock --release SNAPSHOT --reason "..."` makes it the new normal.
select snapshot_id, taken_at, rows, total, reason, 'availability/' || snapshot_id as landing
from raw.snapshots
where taken_at = (select max(taken_at)
from raw.snapshots) and not trusted
