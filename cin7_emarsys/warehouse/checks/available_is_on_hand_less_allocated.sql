-- title: Stock rows whose Available is not OnHand less Allocated: {rows}
-- assets: staging.snapshot
-- severity: warn
-- key: SKU, Location, Bin, Batch
-- owner: data
-- means: Cin7 contradicts itself about the stock of these rows.
-- of: raw.availability
-- next_step: Read the stock again; if it stays, ask Cin7 support, because the figures of these rows contradict each other.
select SKU, Location, Bin, Batch, OnHand, Allocated, Available
from raw.availability
where coalesce(OnHand, 0) - coalesce(Allocated, 0) <> coalesce(Available, 0)
