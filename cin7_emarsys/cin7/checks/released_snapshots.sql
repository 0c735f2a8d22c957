-- title: Snapshots released by a person within a day, so that their lower number of rows is the new normal: {rows}
-- assets: raw.snapshots
-- severity: warn
-- key: snapshot_id
-- owner: operations
-- means: A person has said that a sudden drop of stock rows is real; all items that lost stock fall with it.
-- next_step: Nothing, if you know why. If not: ask who released it (the reason is kept), and look whether stock is missing.
select snapshot_id, taken_at, reason, released_reason
from raw.snapshots
where released_reason is not null and taken_at > (select max(taken_at) from raw.snapshots) - interval 1 day
