-- The latest moment, by Cin7's clock, at which something was read (UTC).
select as_of from staging.tenant
