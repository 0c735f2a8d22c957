-- title: SKUs that keep their last state, because their stock rows cannot be trusted: {rows}
-- assets: mart.availability
-- severity: warn
-- key: sku
-- owner: operations
-- means: What is promised of these items is as it was before; they cannot come back in stock until their rows agree.
-- of: mart.availability
-- next_step: Look at the rows of these SKUs in Cin7 (twice the same bin and batch, or changed while they were read); the next stock run reads them again.
select sku, state, ats, reason from mart.availability where reason like 'sku_untrusted%'
