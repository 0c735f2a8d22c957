-- Customer accounts whose every contact with an e-mail is one of these, and that do not stand for many people; and those that
-- are named themselves. Parameter: $names (e-mails, and customer:<id>).
with listed as (
    select lower(ID) as customer_id, Name as name,
        [lower(trim(x.Email)) for x in coalesce(Contacts, []) if trim(coalesce(x.Email, '')) <> ''] as emails
    from raw.customers
)
select customer_id
from listed
where list_contains($names, 'customer:' || customer_id)
    or (
        len(emails) > 0 and list_has_all($names, emails) and not exists (
            from policy.generic_customers as generic where lower(trim(generic.name)) = lower(trim(listed.name))
        )
    )
order by customer_id
