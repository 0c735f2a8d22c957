-- Every written alias, oldest first.
select alias, person, reason, who, written_at from operations.aliases order by written_at, alias
