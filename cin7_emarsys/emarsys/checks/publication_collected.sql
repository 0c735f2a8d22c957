-- title: Versions of the product file that Emarsys has not fetched for more than a day: {rows}
-- assets: delivery.publications
-- severity: warn
-- key: version
-- owner: operations
-- means: Emarsys works with an old product file: stock and prices in mails are not today's.
-- critical: hours 24
-- next_step: See in Predict Data Sources whether Emarsys still fetches the file (address, password, interval), and whether `cin7-emarsys serve` runs.
select version, published_at, rows, url
from delivery.publications, staging.tenant as tenant
where collected_at is null and url like 'file:%'
    and exists (from delivery.publications as earlier where earlier.collected_at is not null)
    and version > (select max(version) from delivery.publications where collected_at is not null)
    and published_at < tenant.as_of - interval 1 day
order by version
limit 1
