-- Contacts whose desired state differs from what Emarsys accepted last, with what it may hold: what it accepted, and over
-- that what was sent since with an unknown outcome; `attempts` that failed of this very state, and when the last one did.
-- Parameters: $fingerprint, a hash of the field map: another map changes every row; $forced, a JSON list of {attribute,
-- string_id, guard}: fields that go although a guard holds them, where they differ (`forced`: nothing else does).
with wanted as (
    select email as key, attributes, derived, consent, md5(payload_hash || $fingerprint) as payload_hash
    from mart.contacts
),
forced as (
    select unnest(
        from_json($forced::json, '[{"attribute": "VARCHAR", "string_id": "VARCHAR", "guard": "VARCHAR"}]'), recursive := true
    )
),
changed as (
    select wanted.*, delivered.payload as accepted,
        coalesce(delivered.payload_hash = wanted.payload_hash, false) as forced
    from wanted
    left join delivery.delivered as delivered on delivered.flow = 'contacts' and delivered.key = wanted.key
    where (
            delivered.payload_hash is distinct from wanted.payload_hash
            or exists (
                from forced
                where (wanted.attributes->>forced.attribute) is distinct from (delivered.payload->>forced.string_id)
                    and (
                        forced.guard = 'foreign_field'
                        or (
                            (wanted.attributes->>forced.attribute) is null
                            and not list_contains(wanted.derived, forced.attribute)
                        )
                    )
            )
            or exists ( -- sent since and perhaps applied: what was accepted last may no longer be there
                from delivery.records as later
                where later.flow = 'contacts' and later.key = wanted.key and later.outcome = 'unknown'
                    and later.batch_id > delivered.batch_id
            )
        )
        and not exists (
            from delivery.dead_letters as dead
            where dead.flow = 'contacts' and dead.key = wanted.key and dead.payload_hash = wanted.payload_hash
                and coalesce(dead.closed_by, 'dropped') = 'dropped'
        )
),
sent as (
    select records.* from delivery.records as records
    where records.flow = 'contacts' and records.key in (select key from changed)
),
since as (select key, max(record_id) as accepted_id from sent where outcome = 'accepted' group by key),
doubtful as (
    select sent.key, list(sent.payload order by sent.record_id) as payloads
    from sent
    left join since on since.key = sent.key
    where sent.outcome = 'unknown' and sent.record_id > coalesce(since.accepted_id, 0)
    group by sent.key
),
buried as (select key, max(record_id) as record_id from delivery.dead_letters where flow = 'contacts' group by key),
failed as (
    select sent.key, count(*) as attempts, max(sent."at") as last_at
    from sent
    join changed on changed.key = sent.key and changed.payload_hash = sent.payload_hash
    left join since on since.key = sent.key
    left join buried on buried.key = sent.key
    where sent.attempt and sent.record_id > greatest(coalesce(since.accepted_id, 0), coalesce(buried.record_id, 0))
    group by sent.key
)
select
    changed.key, changed.attributes, changed.derived, changed.consent, changed.payload_hash,
    case
        when doubtful.payloads is null then changed.accepted
        else list_reduce(
            list_prepend(coalesce(changed.accepted, cast('{}' as json)), doubtful.payloads),
            lambda held, tried: json_merge_patch(held, tried)
        )
    end as before,
    coalesce(failed.attempts, 0) as attempts, failed.last_at,
    changed.forced and doubtful.payloads is null as forced
from changed
left join doubtful on doubtful.key = changed.key
left join failed on failed.key = changed.key
order by changed.key
