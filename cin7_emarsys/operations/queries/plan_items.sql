-- Items that differ from what Emarsys accepted, where each goes by itself (Engagement Cloud edition).
select count(*) as units
from mart.catalogue as items
left join delivery.delivered as delivered on delivered.flow = 'catalogue' and delivered.key = items.item
where delivered.payload_hash is distinct from items.payload_hash
