-- Holds that the changed policy would cause and the running one does not.
select kind, reason, count(*) as items
from side_changed.mart.held_flips as held
where released_at is null and ended_at is null
    and not exists (
        from side_running.mart.held_flips as known
        where known.kind = held.kind and known.item = held.item and known.released_at is null and known.ended_at is null
    )
group by all
order by all
