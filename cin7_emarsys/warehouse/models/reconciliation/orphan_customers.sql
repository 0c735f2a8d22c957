-- grain: one row per customer or contact that is on one side and not on the other
-- key: missing_at, person
-- meaning: Customers that Emarsys lacks though Cin7 has them, and the other way round, with the cause and what to do.
-- @column missing_at: emarsys or cin7.
-- @column person: Customer id, or a hash where there is none; never an address.
-- @column email: The address; stays in the warehouse.
-- @column cause: Why: a rule that leaves it out, rejected, never_sent, deleted_there, no_longer_in_cin7, only_in_emarsys.
-- @column since: Since when, as far as it is known (UTC).
-- @column owner: Who answers for it.
-- @column next_step: What to do.
with latest as (
    select key, arg_max(outcome, record_id) as outcome, arg_max(code, record_id) as code, max("at") as "at"
    from delivery.records
    where flow = 'contacts'
    group by key
),
accepted as (select key as email, accepted_at from delivery.delivered where flow = 'contacts'),
read as (select email, ours, found, read_at from reconciliation.contacts_read),
there as (
    select 'emarsys' as missing_at, coalesce(contacts.customer_id, md5(contacts.email)) as person, contacts.email,
        case
            when latest.outcome = 'rejected' then 'rejected'
            when latest.outcome is not null then 'outcome_' || latest.outcome
            else 'never_sent'
        end as cause,
        latest."at" as since
    from mart.contacts as contacts
    left join latest on latest.key = contacts.email
    where not exists (from accepted where accepted.email = contacts.email)
    union all
    select 'emarsys', split_part(excluded.key, ':', 1) || coalesce(':' || nullif(split_part(excluded.key, ':', 2), ''), ''),
        null, excluded.rule, null
    from mart.excluded as excluded
    where excluded.flow = 'contacts'
    union all
    select 'emarsys', coalesce(contacts.customer_id, md5(read.email)), read.email, 'deleted_there', read.read_at
    from read
    join accepted on accepted.email = read.email
    left join mart.contacts as contacts on contacts.email = read.email
    where read.ours and not read.found
),
here as (
    select 'cin7', md5(accepted.email), accepted.email, 'no_longer_in_cin7', accepted.accepted_at
    from accepted
    where not exists (from mart.contacts as contacts where contacts.email = accepted.email)
    union all
    select 'cin7', md5(read.email), read.email, 'only_in_emarsys', read.read_at
    from read
    where not read.ours and not exists (from mart.persons as persons where persons.email = read.email)
        and not exists (from accepted where accepted.email = read.email)
),
everybody as (
    select missing_at, person, any_value(email) as email, any_value(cause) as cause, any_value(since) as since
    from (from there union all from here)
    group by missing_at, person
)
select
    missing_at, person, email, cause, since,
    case when cause in ('only_in_emarsys', 'deleted_there') then 'marketing' else 'operations' end as owner,
    case cause
        when 'no_email' then 'Enter an e-mail for the customer in Cin7, if there is one.'
        when 'invalid_email' then 'Correct the e-mail of the contact in Cin7.'
        when 'generic_customer' then 'Nothing: an account for many people lends no identity.'
        when 'deprecated_customer' then 'Nothing, if the customer was deprecated on purpose.'
        when 'wholesale' then 'Nothing: wholesale is left out by policy.'
        when 'rejected' then 'See cin7-emarsys ledger --outcome rejected; correct the contact in Cin7.'
        when 'never_sent' then 'Run cin7-emarsys sync customers.'
        when 'deleted_there' then 'Somebody deleted the contact in Emarsys: erase it here too, or let it be sent again.'
        when 'no_longer_in_cin7' then 'The contact stays at Emarsys with what was sent last; delete it there if it should go.'
        when 'only_in_emarsys' then 'Nothing, if people may sign up in Emarsys without being customers.'
        else 'It goes again with the next sync.'
    end as next_step
from everybody
