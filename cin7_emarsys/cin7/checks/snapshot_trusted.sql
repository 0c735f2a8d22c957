-- title: The newest snapshot is not trusted, so availability stays as it was
-- assets: raw.availability
-- blocking: true
-- next_step: Run the stock job again; if it stays, compare the row counts in Cin7's availability view.
select snapshot_id, taken_at, rows, total, reason
from raw.snapshots
where taken_at = (select max(taken_at)
from raw.snapshots) and not trusted
