-- class: rejected
-- table: raw.rejected
-- meaning: Refused records that have not come for long and that nothing waits for; a sale still in the queue
-- stays, and so does a header, which comes again only when its sale is changed.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
select rejected.rowid, last_seen as "at"
from raw.rejected as rejected
where last_seen < $before and entity not in ('sale_headers', 'credit_note_headers')
    and not exists (from raw.sale_queue as waiting where lower(waiting.sale_id) = lower(rejected.key))
