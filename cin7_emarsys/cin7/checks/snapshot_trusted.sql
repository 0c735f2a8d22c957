-- title: The newest snapshot is not trusted, so availability stays as it was
-- assets: raw.availability
-- blocking: true
-- key: untrusted_since
-- owner: operations
-- means: What marketing may promise is as old as the last stock that could be trusted.
-- next_step: Run the stock job again. What came is kept in the landing folder named in the row; if a drop of rows is real, `sync stock --release SNAPSHOT --reason "..."` makes it the new normal.
select snapshot_id, taken_at, rows, total, reason, 'availability/' || snapshot_id as landing,
    (
        select min(taken_at)
        from raw.snapshots
        where taken_at > coalesce((select max(taken_at) from raw.snapshots where trusted), '-infinity')
    ) as untrusted_since,
    'Run the stock job again. What came is kept in the landing folder availability/' || snapshot_id
        || '; if a drop of rows is real, `sync stock --release ' || snapshot_id || ' --reason "..."` makes it the new normal.'
        as next_step
from raw.snapshots
where taken_at = (select max(taken_at)
from raw.snapshots) and not trusted
