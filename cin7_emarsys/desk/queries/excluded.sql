-- What is left out of each flow, by rule, the largest first.
-- @column flow: The flow.
-- @column rule: Name of the rule.
-- @column records: Source rows it leaves out.
select flow, rule, count(*) as records
from mart.excluded
group by flow, rule
order by list_position(['contacts', 'catalogue', 'sales', 'events'], flow), records desc, rule
