-- grain: one row per written alias
-- key: alias
-- feedback: operations.aliases
-- meaning: Who was written down by hand to be the same person as somebody else. Nothing else joins two people.
-- @column alias: The person that is another one: an e-mail, or customer:<id>.
-- @column person_id: Whom it leads to in the end, when an alias leads to an alias.
-- @column written: Whom it was written to lead to.
-- @column reason: Why, as given.
-- @column who: Who wrote it.
-- @column written_at: When (UTC).
with recursive walked as (
    select alias, person, 1 as steps from operations.aliases
    union all
    select walked.alias, further.person, walked.steps + 1
    from walked
    join operations.aliases as further on further.alias = walked.person
    where walked.steps < 20
),
ends as (select alias, arg_max(person, steps) as person_id from walked group by alias)
select written.alias, ends.person_id, written.person as written, written.reason, written.who, written.written_at
from operations.aliases as written
join ends on ends.alias = written.alias
