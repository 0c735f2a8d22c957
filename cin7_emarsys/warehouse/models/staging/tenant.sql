-- grain: one row
-- key: company
-- meaning: The Cin7 account: its currency, calendar and clock, and how much of its history has been read.
-- @column company: Name of the company in Cin7.
-- @column currency: Currency of all amounts we send: the policy's, else the base currency of the account.
-- @column time_zone: Calendar of the account (IANA name); UTC where Cin7 names one we do not know.
-- @column lock_date: Documents up to this date are closed in Cin7's books.
-- @column as_of: The latest moment, by Cin7's clock, at which something was read; the "now" of all models (UTC).
-- @column today: The account's calendar day at as_of.
-- @column baseline: Start of the first reading of sale headers; what was there before is history (UTC).
-- @column history_pending: Sales of the first reading whose details are still to be read.
-- @column history_complete: True when the first reading is through, so that nobody is taken for a new customer wrongly.
with account as (
    select any_value(Company) as company, any_value(Currency) as currency, any_value(TimeZone) as zone,
        any_value(LockDate) as lock_date
    from raw.me
),
marks as (
    select max(completed_at) as completed_at, max(watermark) filter (entity = 'baseline') as baseline
    from raw.watermarks
),
seen as (select max(greatest(taken_at, finished_at)) as at from raw.snapshots),
queue as (select count(*) filter (first_scan) as pending from raw.sale_queue),
clock as (
    select coalesce(greatest(marks.completed_at, seen.at), marks.baseline) as as_of, marks.baseline, queue.pending
    from marks, seen, queue
),
zones as (select any_value(name) as name from pg_timezone_names(), account where name = account.zone)
select
    coalesce(account.company, '') as company,
    coalesce(settings.currency, account.currency) as currency,
    coalesce(zones.name, 'UTC') as time_zone,
    account.lock_date,
    clock.as_of,
    cast((clock.as_of at time zone 'UTC') at time zone coalesce(zones.name, 'UTC') as date) as today,
    clock.baseline,
    clock.pending as history_pending,
    clock.baseline is not null and clock.pending = 0 as history_complete
from account, clock, zones, policy.settings as settings
