-- class: history
-- table: mart.ats
-- meaning: Spans of the waterfall that have ended; what is in force stays.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
select rowid, valid_to as "at" from mart.ats where valid_to < $before
