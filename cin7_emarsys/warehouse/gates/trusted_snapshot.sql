-- title: No stock snapshot can be trusted yet
-- assets: mart.catalogue
-- guards: catalogue
-- blocking: true
-- key: first_snapshot
-- owner: operations
-- means: The product file is not published, because nobody knows what can be sold.
-- due_hours: 4
-- next_step: Run the stock job; if it refuses the snapshot, its check says why. Without one the product file would say that nothing is in stock.
select coalesce(min(taken_at)::varchar, 'none') as first_snapshot, max(taken_at) as newest_snapshot, any_value(reason) as reason
from raw.snapshots
having not coalesce(bool_or(trusted), false)
