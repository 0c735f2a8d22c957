-- title: Records from Cin7 that cannot be used and were set aside: {rows}
-- assets: raw.sale_headers
-- severity: warn
-- key: entity, key
-- owner: data
-- means: What these records say is missing everywhere: in stock, in customer values and in mails.
-- of: raw.sale_headers
-- critical: share 0.01
-- next_step: Correct the record in Cin7; raw.rejected has it with its payload, and it leaves when it comes well-formed.
select entity, left(key, 60) as key, reason, first_seen
from raw.rejected
order by last_seen desc
