-- grain: one row per person or contact that is on one side and not on the other
-- key: missing_at, person
-- meaning: Customers that Emarsys lacks though Cin7 has them, and the other way round, with the cause; what to do about it stands in reconciliation.orphans.
-- @column missing_at: emarsys or cin7.
-- @column person: Customer id (with the number of the contact), or a hash where there is none; never an address.
-- @column email: The address, if any; stays in the warehouse.
-- @column cause: The rule that leaves it out, not_yet_due (for a day at most), never_sent, rejected, duplicate_key, deleted_there; the other
-- way round: no_longer_in_cin7, merged, a rule that leaves it out now, only_in_emarsys.
-- @column since: Since when, as far as it is known (UTC).
with last_export as (select max("at") as "at" from delivery.records where flow = 'contacts'),
customer_field as (select max(string_id) as string_id from policy.contact_fields where attribute = 'customer_id'),
accepted as (
    select delivered.key as email, delivered.accepted_at
    from delivery.delivered as delivered
    -- what this very run has sent is not among them yet
    anti join staging.sent_contacts as there on there.email = delivered.key and there.moved_to is not null
    where delivered.flow = 'contacts'
),
latest as (
    select key, arg_max(outcome, record_id) as outcome, arg_max(code, record_id) as code, max("at") as "at"
    from delivery.records
    anti join accepted on accepted.email = records.key
    where flow = 'contacts'
    group by key
),
gone as (
    select read.email, read.code, read.read_at
    from reconciliation.contacts_read as read
    join accepted on accepted.email = read.email and accepted.accepted_at <= read.read_at
    where read.ours and not read.found and read.code in ('2008', '2010') -- what was not answered was not read
),
unwanted as (
    select accepted.email, accepted.accepted_at
    from accepted
    where not exists (from mart.contacts as contacts where contacts.email = accepted.email and not contacts.left_behind)
        and not exists (from gone where gone.email = accepted.email and gone.code = '2008')
),
accounts as ( -- only of those who are named here: not every payload is taken apart
    select delivered.key as email, lower(delivered.payload->>customer_field.string_id) as customer_id
    from delivery.delivered as delivered
    semi join (select email from unwanted union all select email from gone) as named on named.email = delivered.key
    cross join customer_field
    where delivered.flow = 'contacts'
),
left_out as (
    select excluded.key, excluded.rule, coalesce(customers.updated_at, people.updated_at) as since,
        coalesce(
            persons.customer_id, md5(persons.email), split_part(replace(excluded.key, 'customer:', ''), ':', 1)
        ) as customer_id,
        persons.email,
        case when customers.customer_id is not null then ':' || split_part(excluded.key, ':', 2) else '' end as contact
    from mart.excluded as excluded
    left join mart.persons as persons on persons.person_id = excluded.key
    left join staging.customers as people on people.customer_id = persons.customer_id
    left join staging.customers as customers
        on persons.person_id is null and customers.customer_id = split_part(excluded.key, ':', 1)
    where excluded.flow = 'contacts'
),
there as (
    select 'emarsys' as missing_at, coalesce(contacts.customer_id, md5(contacts.email)) as person, contacts.email,
        case
            when latest.outcome = 'rejected' and latest.code = '2010' then 'duplicate_key'
            when latest.outcome = 'rejected' then 'rejected'
            when latest.outcome is not null then 'not_yet_due' -- goes again by itself
            when customers.updated_at > greatest(last_export."at", tenant.as_of - interval 1 day) then 'not_yet_due'
            else 'never_sent'
        end as cause,
        coalesce(latest."at", customers.updated_at) as since
    from mart.contacts as contacts
    cross join last_export
    cross join staging.tenant as tenant
    left join latest on latest.key = contacts.email
    left join staging.customers as customers on customers.customer_id = contacts.customer_id
    where not exists (from accepted where accepted.email = contacts.email)
    union all
    select 'emarsys', left_out.customer_id || left_out.contact, left_out.email, left_out.rule, left_out.since
    from left_out
    where not exists (from accepted where accepted.email = left_out.email)
    union all
    -- accounts without a contact that has an e-mail, and without a sale, are no persons
    select 'emarsys', customers.customer_id, null,
        case
            when customers.is_generic then 'generic_customer'
            when not customers.is_active then 'deprecated_customer'
            else 'no_email'
        end,
        customers.updated_at
    from staging.customers as customers
    where not exists (from staging.contacts as contacts where contacts.customer_id = customers.customer_id)
        and not exists (from mart.persons as persons where persons.customer_id = customers.customer_id)
        and not exists (from left_out where left_out.customer_id = customers.customer_id)
    union all
    select 'emarsys', coalesce(contacts.customer_id, accounts.customer_id, md5(gone.email)), gone.email,
        case when gone.code = '2010' then 'duplicate_key' else 'deleted_there' end, gone.read_at
    from gone
    join accounts on accounts.email = gone.email
    join mart.contacts as contacts on contacts.email = gone.email and not contacts.left_behind
),
here as (
    select 'cin7', coalesce(accounts.customer_id || ':', '') || left(md5(unwanted.email), 8), unwanted.email,
        case
            when left_out.rule is not null then left_out.rule
            when exists (from staging.written_aliases as written where written.alias = unwanted.email)
                or exists (
                    from mart.contacts as others
                    where others.customer_id = accounts.customer_id and not others.left_behind
                ) then 'merged'
            else 'no_longer_in_cin7'
        end,
        coalesce(left_out.since, unwanted.accepted_at)
    from unwanted
    join accounts on accounts.email = unwanted.email
    left join left_out on left_out.email = unwanted.email
    union all
    select 'cin7', md5(read.email), read.email, 'only_in_emarsys', read.read_at
    from reconciliation.contacts_read as read
    where not read.ours and not exists (from mart.persons as persons where persons.email = read.email)
        and not exists (from accepted where accepted.email = read.email)
),
everybody as (
    -- two contacts of one account are two people
    select missing_at, person || case when count(*) over same > 1 then ':' || coalesce(left(md5(email), 8), cause) else '' end
            as person,
        email, cause, since
    from (from there union all from here)
    window same as (partition by missing_at, person)
)
select missing_at, person, email, cause, since
from everybody
