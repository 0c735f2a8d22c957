-- title: {rows} SKUs of the newest snapshot cannot be trusted and keep their state
-- assets: raw.availability
-- severity: warn
-- next_step: Look at these SKUs in Cin7's availability view; they go on by themselves once their rows agree.
select distinct skus.sku, skus.reason
from raw.snapshot_untrusted_skus as skus
where skus.snapshot_id = (select arg_max(snapshot_id, taken_at)
from raw.snapshots)
