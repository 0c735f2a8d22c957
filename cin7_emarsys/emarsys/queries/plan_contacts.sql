-- Contacts whose desired state differs from what Emarsys accepted last, with what it may hold: what it accepted, and over
-- that what was sent since with an unknown outcome; `attempts` that failed of this very state, and when the last one did.
-- Parameters: $fingerprint, a hash of the field map: another map changes every row; $forced, a JSON list of {attribute,
-- string_id, guard}: fields that go although a guard holds them, where they differ (`forced`: nothing else does);
-- $external_id, the field by which contacts are known whose address may change (null: there is none); $part of $parts: the
-- contacts are worked out part by part, so that memory does not grow with their number.
with wanted as materialized (
    select email as key, attributes, derived, consent, md5(payload_hash || $fingerprint) as payload_hash
    from mart.contacts
    where hash(email) % $parts::ubigint = $part::ubigint
),
forced as (
    select from_json($forced::json, '[{"attribute": "VARCHAR", "string_id": "VARCHAR", "guard": "VARCHAR"}]') as fields
),
delivered as (from delivery.delivered where flow = 'contacts' and hash(key) % $parts::ubigint = $part::ubigint),
moved as ( -- what a contact holds that is known by its external id, under the address that it had before
    select payload->>$external_id as external_id, arg_max(payload, accepted_at) as payload
    from delivery.delivered
    where $external_id is not null and flow = 'contacts'
    group by all
),
sent as (from delivery.records where flow = 'contacts' and hash(key) % $parts::ubigint = $part::ubigint),
since as (select key, max(record_id) as accepted_id from sent where outcome = 'accepted' group by key),
doubtful as ( -- sent since and perhaps applied: what was accepted last may no longer be there
    select sent.key, list(sent.payload order by sent.record_id) as payloads
    from sent
    left join since on since.key = sent.key
    where sent.outcome = 'unknown' and sent.record_id > coalesce(since.accepted_id, 0)
    group by sent.key
),
given_up as (
    from delivery.dead_letters where flow = 'contacts' and coalesce(closed_by, 'dropped') = 'dropped'
),
changed as (
    select wanted.*, coalesce(delivered.payload, moved.payload) as accepted, doubtful.payloads,
        coalesce(delivered.payload_hash = wanted.payload_hash, false) as unchanged
    from wanted
    cross join forced
    left join delivered on delivered.key = wanted.key
    left join moved on moved.external_id = (wanted.attributes->>'external_id')
    left join doubtful on doubtful.key = wanted.key
    anti join given_up on given_up.key = wanted.key and given_up.payload_hash = wanted.payload_hash
    where not unchanged
        or doubtful.key is not null
        or len(
            list_filter(
                forced.fields,
                lambda field:
                    (wanted.attributes->>field.attribute) is distinct from (delivered.payload->>field.string_id)
                    and (
                        field.guard = 'foreign_field'
                        or (
                            (wanted.attributes->>field.attribute) is null
                            and not list_contains(wanted.derived, field.attribute)
                        )
                    )
            )
        ) > 0
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
        when changed.payloads is null then changed.accepted
        else list_reduce(
            list_prepend(coalesce(changed.accepted, cast('{}' as json)), changed.payloads),
            lambda held, tried: json_merge_patch(held, tried)
        )
    end as before,
    coalesce(failed.attempts, 0) as attempts, failed.last_at,
    changed.unchanged and changed.payloads is null as forced
from changed
left join failed on failed.key = changed.key
order by changed.key
