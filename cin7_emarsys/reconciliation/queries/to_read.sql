-- Contacts to read back, the most urgent first. Parameters: $scope (all, due, sent), $cycle_days.
with known as (
    select delivered.key as email, read.read_at,
        case
            when read.read_at is null or read.read_at <= delivered.accepted_at then 1 -- sent since
            when not read.found or drift.email is not null then 2
            else 3
        end as urgency
    from delivery.delivered as delivered
    left join reconciliation.contacts_read as read on read.email = delivered.key and read.ours
    left join (select distinct email from reconciliation.drift where what = 'contact') as drift
        on drift.email = delivered.key
    where delivered.flow = 'contacts'
),
ranked as (
    select *, row_number() over (partition by urgency order by read_at, email) as place, count(*) over () as contacts
    from known
)
select email
from ranked
where urgency = 1 or $scope = 'all'
    or ($scope = 'due' and (urgency = 2 or place <= ceil(contacts / $cycle_days)))
order by urgency, place
