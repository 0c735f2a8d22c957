-- class: rejected
-- table: raw.rejected
-- meaning: Refused records that have not come for long and that nothing waits for; a sale still in the queue stays.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
select rejected.rowid, last_seen as "at"
from raw.rejected as rejected
where last_seen < $before and not exists (from raw.sale_queue as waiting where lower(waiting.sale_id) = lower(rejected.key))
