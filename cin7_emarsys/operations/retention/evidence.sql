-- class: history
-- table: mart.evidence
-- meaning: Rows and orders behind waterfalls that have ended; what is in force stays.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
select rowid, valid_to as "at" from mart.evidence where valid_to < $before
