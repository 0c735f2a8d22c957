-- title: {rows} SKUs keep their last state, because their stock rows cannot be trusted
-- assets: mart.availability
-- severity: warn
-- next_step: Look at the rows of these SKUs in Cin7 (twice the same bin and batch, or changed while they were read); the next stock run reads them again.
select sku, state, ats, reason from mart.availability where reason like 'sku_untrusted%'
