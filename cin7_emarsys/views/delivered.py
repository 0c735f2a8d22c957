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
