-- The contact as Emarsys last accepted it. Parameter: $email.
select payload, accepted_at, batch_id
from delivery.delivered
where flow = 'contacts' and key = $email
