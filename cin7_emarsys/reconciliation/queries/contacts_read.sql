-- The readings of all contacts after this one: `incoming` over what was there. Parameter: $others, whether the contacts of
-- others were listed.
select
    coalesce(new.email, old.email) as email,
    coalesce(new.ours, old.ours) as ours,
    if(new.email is null, old.found, new.found) as found,
    if(new.email is null, old.code, new.code) as code,
    if(new.email is null, old.opt_in, new.opt_in) as opt_in,
    if(new.email is null, old.fields, new.fields) as fields,
    coalesce(new.read_at, old.read_at) as read_at,
    if(new.email is null, old.filled, new.filled) as filled,
    if(new.email is null or old.fields = new.fields, old.before, old.fields) as before,
    if(new.email is null or old.fields = new.fields, old.before_at, old.read_at) as before_at,
    if(new.email is null or old.fields = new.fields, old.same_since, new.read_at) as same_since
from (
    select *
    from reconciliation.contacts_read
    where if(ours, email in (select key from delivery.delivered where flow = 'contacts'), not $others)
) as old
full join (
    select *
    from incoming
    where ours or email not in (select key from delivery.delivered where flow = 'contacts')
) as new on new.email = old.email and new.ours = old.ours
