-- class: history
-- table: delivery.catalogue_history
-- meaning: What items said in versions of the product file that have been replaced.
-- Rows that may go: their rowid, and when they ended. Parameter: $before (UTC).
select history.rowid, publications.published_at as "at"
from delivery.catalogue_history as history
join delivery.publications as publications on publications.version = history.until_version
where publications.published_at < $before
