"""One run: what it read, sent and found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from cin7_emarsys.views.text import grid

if TYPE_CHECKING:
    from cin7_emarsys.operations.sync import SyncOutcome

EXPORT_FIGURES = ("desired", "unchanged", "sent", "accepted", "rejected", "retryable", "unknown")


def summary(outcome: SyncOutcome) -> RenderableType:
    """What a run read, sent and found."""
    read = [
        (
            name,
            m.get("inserted", ""),
            m.get("updated", ""),
            m.get("unchanged", ""),
            m.get("rejected", ""),
            m.get("calls", ""),
        )
        for name, m in outcome.assets.items()
        if name.startswith("raw/") and "calls" in m
    ]
    sent = [
        (name.removeprefix("emarsys/"), *(m.get(figure, "") for figure in EXPORT_FIGURES), m.get("calls", ""))
        for name, m in outcome.assets.items()
        if name.startswith("emarsys/") and "desired" in m
    ]
    parts: list[RenderableType] = []
    if read:
        columns = ("read from Cin7", "new", "changed", "unchanged", "rejected", "calls")
        parts.append(grid(columns, read, right=columns[1:]))
    if sent:
        exported = ("sent to Emarsys", *EXPORT_FIGURES, "calls")
        parts += [Text(), grid(exported, sent, right=exported[1:])]
    if outcome.failed_checks:
        parts += [Text(), checks(outcome)]
    for step, error in outcome.errors.items():
        parts.append(Text(f"failed: {step}: {error}", style="red"))
    return Group(*parts)


def checks(outcome: SyncOutcome) -> RenderableType:
    """The checks that complain, and what to do about each."""
    rows = [(check.severity, check.asset, check.sentence, check.next_step) for check in outcome.failed_checks]
    return grid(("", "where", "what", "what to do"), rows)


def would_send(change: Mapping[str, Any]) -> RenderableType:
    """One record of a dry run: old → new, field by field."""
    lines = (
        f"    {name}: {old if old is not None else '–'} → {new if new is not None else '–'}"
        for name, old, new in change["changes"]
    )
    return Text("\n".join((f"  {change['flow']}  {change['key']}", *lines)))


def planned(found: Mapping[str, Any]) -> RenderableType:
    """What a job would cost: lane by lane, and for each vendor against what is left of its limit."""
    lanes = (
        (lane["vendor"], lane["lane"].replace("_", " "), f"{lane['calls']:,}", lane["minutes"], "; ".join(lane["what"]))
        for lane in found["lanes"]
    )
    parts: list[RenderableType] = [
        grid(("vendor", "lane", "calls", "minutes", "for"), lanes, right=("calls", "minutes")),
        Text(),
    ]
    for vendor in found["vendors"]:
        limit = f"{vendor['calls_per_window']:,} calls in {vendor['window_seconds']:g} s"
        wait = f"about {vendor['minutes']:g} minutes of waiting" if vendor["minutes"] else "no waiting"
        parts.append(
            Text(
                f"{vendor['vendor']}: {vendor['calls']:,} calls; {vendor['left_now']:,} are free now ({limit}): {wait}"
            )
        )
    return Group(*parts)
