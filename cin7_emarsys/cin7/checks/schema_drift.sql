-- title: Fields of Cin7 that this version does not know: {rows}
-- assets: raw.products
-- severity: warn
-- key: entity, field
-- owner: data
-- means: Cin7 tells something new that nobody uses yet.
-- next_step: Nothing is lost (raw keeps each record as received); see whether the field matters; if not, `exceptions ignore schema_drift`.
select entity, field, seen, first_seen
from raw.schema_drift
