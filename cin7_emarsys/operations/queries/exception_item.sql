-- One item of a class. Parameters: $name, $key.
select key, first_seen_at, resolved_at from operations.exception_items where class = $name and key = $key
