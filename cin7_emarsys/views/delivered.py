"""What was sent to Emarsys, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cin7_emarsys.views.text import grid, moment


def ledger(facts: Mapping[str, Any]) -> RenderableType:
    """What was sent: a line for each flow, the product file's versions, and the newest records."""
    flows = ("flow", "batches", "sent", "accepted", "rejected", "retryable", "unknown")
    parts: list[RenderableType] = [
        grid(
            (*flows, "newest"),
            ((*(row[name] for name in flows), moment(row["newest"])) for row in facts["flows"]),
            flows[1:],
        )
    ]
    if facts["publications"]:
        parts += [
            Text(),
            grid(
                ("product file", "published", "items", "collected"),
                (
                    (p["version"], moment(p["published_at"]), p["rows"], moment(p["collected_at"]))
                    for p in facts["publications"]
                ),
                right=("items",),
            ),
        ]
    parts += [
        Text(),
        grid(
            ("at", "flow", "record", "outcome", "reason", "batch"),
            (
                (moment(r["at"]), r["flow"], r["key"], r["outcome"], r["reason"], r["batch_id"])
                for r in facts["records"]
            ),
        ),
    ]
    return Group(*parts)


def parked(facts: Mapping[str, Any]) -> RenderableType:
    """What nobody knows: a line for each flow, the records, and what to do."""
    if not facts["records"]:
        return Text("Nothing is parked: of every sales line and event it is known whether Emarsys has it.")
    return Group(
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


def letters(facts: Mapping[str, Any]) -> RenderableType:
    """Dead letters: a line for each kind, the records, and what to do."""
    if not facts["records"]:
        return Text("No dead letters.")
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


def _what(record: Mapping[str, Any]) -> str:
    """A record in few words: a sales line with its order and amount, an event with its order, else the key."""
    payload = record["payload"]
    if record["flow"] == "sales" and "item" in payload:
        return f"{payload['order']}: {payload['quantity']} × {payload['item']} = {payload['price']}"
    if record["flow"] == "events" and "external_id" in payload:
        return f"{payload['external_id']}: {record['key']}"
    return str(record["key"])


def held(facts: Mapping[str, Any]) -> RenderableType:
    """What Emarsys should have held at a moment."""
    figures = f"{facts['contacts']} contacts, {facts['sales_lines']} sales lines, {facts['events']} events accepted"
    version = facts["version"] or "none"
    return Group(
        Text(f"At {moment(facts['at'])}: {figures}; product file version {version}; {facts['unknown']} in doubt."),
        Text(),
        grid(
            ("since", "flow", "record", "what was accepted", "batch"),
            ((moment(r["at"]), r["flow"], r["key"], _short(r["payload"]), r["batch_id"]) for r in facts["held"]),
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
