"""What was sent to Emarsys, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cin7_emarsys.views.text import count, grid, moment

_LATER = {"repeated": "sent again", "replayed": "replayed"}


def ledger(facts: Mapping[str, Any], *, filtered: bool, limit: int) -> RenderableType:
    """What was sent: a line for each flow and the product file's versions, unless only some was asked for; the newest
    records."""
    flows = ("flow", "batches", "sent", "accepted", "rejected", "retryable", "unknown")
    parts: list[RenderableType] = []
    if not filtered:
        rows = ((*(row[name] for name in flows), moment(row["newest"])) for row in facts["flows"])
        parts += [grid((*flows, "newest"), rows, flows[1:]), Text()]
    if facts["publications"] and not filtered:
        parts += [
            grid(
                ("product file", "published", "items", "collected"),
                (
                    (p["version"], moment(p["published_at"]), p["rows"], moment(p["collected_at"]))
                    for p in facts["publications"]
                ),
                right=("items",),
            ),
            Text(),
        ]
    if not facts["records"]:
        return Group(*parts, Text("No record answers that." if filtered else "Nothing has been sent."))
    rows = (
        (r["record_id"], r["batch_id"], moment(r["at"]), r["flow"], _what(r), r["outcome"], _why(r))
        for r in facts["records"]
    )
    parts.append(grid(("record", "batch", "at", "flow", "what", "outcome", "reason"), rows, ("record", "batch")))
    if len(facts["records"]) == limit:
        parts += [Text(), Text(f"The newest {limit:,}; --limit shows more.")]
    return Group(*parts)


def parked(facts: Mapping[str, Any], flow: str | None) -> RenderableType:
    """What nobody knows: a line for each flow, the records, and what to do."""
    sending = [
        f"{count(row['records'], 'record')} of {row['flow']} on the way to Emarsys since {moment(row['since'])}: being sent "
        "now, or left by a process that died; then the next run that sends such records parks them."
        for row in facts["on_their_way"]
    ]
    if not facts["records"]:
        none = f"No parked records of {flow}." if flow else "Nothing is parked."
        if not flow and not sending:
            none = "Nothing is parked: of every sales line and event it is known whether Emarsys has it."
        return Text("\n".join([none, *sending]))
    return Group(
        *(Text(f"{line}\n") for line in sending),
        grid(
            ("flow", "records", "batches", "since"),
            ((row["flow"], row["records"], row["batches"], moment(row["since"])) for row in facts["flows"]),
            ("records", "batches"),
        ),
        Text(),
        grid(
            ("record", "batch", "flow", "sent", "what", "why it is in doubt"),
            (
                (r["record_id"], r["batch_id"], r["flow"], moment(r["connecting_at"]), _what(r), r["reason"])
                for r in facts["records"]
            ),
            ("record", "batch"),
        ),
        Text(),
        Text(
            "Look at the sales data or the event log in Emarsys, then say what is there:\n"
            'cin7-emarsys unknowns resolve accepted|not-applied|send-again --batch N --reason "..."'
        ),
    )


def letters(facts: Mapping[str, Any], flow: str | None) -> RenderableType:
    """Dead letters: a line for each kind, the records, and what to do."""
    if not facts["records"]:
        return Text(f"No dead letters of {flow}." if flow else "No dead letters.")
    return Group(
        grid(
            ("flow", "code", "records", "since", "reason (one of them)"),
            ((k["flow"], k["code"], k["records"], moment(k["since"]), k["reason"]) for k in facts["kinds"]),
            ("records",),
        ),
        Text(),
        grid(
            ("record", "flow", "what", "code", "attempts", "since"),
            (
                (r["record_id"], r["flow"], _what(r), r["code"], r["attempts"], moment(r["opened_at"]))
                for r in facts["records"]
            ),
            ("record", "attempts"),
        ),
        Text(),
        Text(
            "Correct the record where it comes from; it goes again by itself once it has changed. Or:\n"
            'cin7-emarsys dead-letters retry|drop --record N|--flow F|--code C --reason "..."'
        ),
    )


def resolved(records: int, how: str) -> str:
    """What is done with parked records now that they are decided."""
    then = "Emarsys has them" if how == "accepted" else "they go with the next run"
    return f"{count(records, 'record')} resolved as {how}: {then}."


def settled(letters_: int, how: str) -> str:
    """What is done with dead letters now."""
    then = "they go with the next run" if how == "retried" else "they never go again as they are"
    return f"{count(letters_, 'dead letter')} {how}: {then}."


def _why(record: Mapping[str, Any]) -> str:
    """The vendor's reason, and what a person or a later run made of the record."""
    how = record["resolution"]
    later = _LATER.get(how, f"resolved as {how}") if how else None
    return "; ".join(filter(None, (record["reason"], later)))


def _what(record: Mapping[str, Any]) -> str:
    """A record in few words: a sales line with its order and amount, an event with its person and order, else the key."""
    payload = record["payload"]
    payload = json.loads(payload) if isinstance(payload, str) else payload  # the warehouse keeps it as text
    if record["flow"] == "sales" and "item" in payload:
        return f"{payload['order']}: {payload['quantity']} × {payload['item']} = {payload['price']}"
    if record["flow"] == "events" and "external_id" in payload:
        return f"{payload['external_id']}: {record['key'].partition(':')[0]} {payload['data']['order']}"
    return str(record["key"])


def held(facts: Mapping[str, Any]) -> RenderableType:
    """What Emarsys should have held at a moment."""
    figures = f"{facts['contacts']} contacts, {facts['sales_lines']} sales lines, {facts['events']} events accepted"
    version = facts["version"] or "none"
    said = Text(f"At {moment(facts['at'])}: {figures}; product file version {version}; {facts['unknown']} in doubt.")
    if not facts["held"]:
        return Group(said, Text(), Text("No record answers that."))
    return Group(
        said,
        Text(),
        grid(
            ("record", "batch", "since", "flow", "what", "as it was accepted"),
            (
                (r["record_id"], r["batch_id"], moment(r["at"]), r["flow"], _what(r), _short(r["payload"]))
                for r in facts["held"]
            ),
            ("record", "batch"),
        ),
    )


def replayed(facts: Mapping[str, Any]) -> RenderableType:
    """What goes again: a line for each flow, and the first records."""
    if facts["dry_run"]:
        end = "Nothing was changed."
    elif facts["verbatim"]:
        end = f"{facts['replayed']} records were accepted again."
    else:
        end = f"{facts['replayed']} records go with the next run, as they are by then."
    every = sum(flow["records"] for flow in facts["flows"])
    if len(facts["records"]) < every:
        end = f"The first {len(facts['records']):,} of {every:,}. {end}"
    return Group(
        grid(
            ("flow", "records", "batches", "first", "last"),
            ((f["flow"], f["records"], f["batches"], moment(f["first"]), moment(f["last"])) for f in facts["flows"]),
            ("records", "batches"),
        ),
        Text(),
        grid(
            ("record", "batch", "accepted", "what"),
            ((r["record_id"], r["batch_id"], moment(r["at"]), _what(r)) for r in facts["records"]),
            ("record", "batch"),
        ),
        Text(),
        Text(end),
    )


def _short(payload: object) -> str:
    text = str(payload)
    return text if len(text) <= 60 else f"{text[:59]}…"
