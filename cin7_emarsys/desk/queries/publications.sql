-- The newest versions of the product file: when each was published, and when Emarsys fetched it. Parameter: $limit.
-- @column version: Its number.
-- @column published_at: When it was published (UTC).
-- @column rows: Items in it.
-- @column collected_at: When Emarsys fetched it (UTC); null: not yet, or not known.
-- @column minutes: From publishing to fetching.
select version, published_at, rows, collected_at, date_diff('minute', published_at, collected_at) as minutes
from delivery.publications
order by version desc
limit $limit
