-- Versions of the product file, newest first. Parameter: $limit.
select version, published_at, rows, sha256, collected_at from delivery.publications order by version desc limit $limit
