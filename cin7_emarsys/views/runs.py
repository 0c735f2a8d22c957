"""One run: what it read, sent and found; and what has had its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from cin7_emarsys.views.text import grid, moment

if TYPE_CHECKING:
    from cin7_emarsys.operations.sync import SyncOutcome

EXPORT_FIGURES = ("desired", "unchanged", "sent", "accepted", "rejected", "retryable", "unknown", "frozen")


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
    exports = {name: m for name, m in outcome.assets.items() if name.startswith("emarsys/") and "desired" in m}
    dry = any(m["dry_run"] for m in exports.values())
    figures = EXPORT_FIGURES[:2] if dry else EXPORT_FIGURES
    sent = [
        (
            name.removeprefix("emarsys/"),
            *(m.get(figure, "") for figure in figures),
            *((m.get("withheld", {}).get("dry_run", 0),) if dry else ()),
            m.get("calls", ""),
        )
        for name, m in exports.items()
    ]
    parts: list[RenderableType] = []
    if read:
        columns = ("read from Cin7", "new", "changed", "unchanged", "rejected", "calls")
        parts.append(grid(columns, read, right=columns[1:]))
    if sent:
        named = ["parked" if figure == "frozen" else figure for figure in figures]  # its document waits for a decision
        heading = ("to Emarsys", *named, "would send") if dry else ("sent to Emarsys", *named)
        exported = (*heading, "calls")
        parts += [Text(), grid(exported, sent, right=exported[1:])]
    held = [(name.removeprefix("emarsys/"), text) for name, m in outcome.assets.items() for text in m.get("guards", [])]
    if held:
        parts += [Text(), grid(("held back", "by a guard"), held)]
    if outcome.failed_checks:
        parts += [Text(), checks(outcome)]
    for step, error in outcome.errors.items():
        parts.append(Text(f"failed: {step}: {error}", style="red"))
    return Group(*parts)


def checks(outcome: SyncOutcome) -> RenderableType:
    """The checks that complain, and what to do about each."""
    rows = [(check.severity, check.name, check.sentence, check.next_step) for check in outcome.failed_checks]
    shown = grid(("", "class", "what", "what to do"), rows)
    if not any(check.rows for check in outcome.failed_checks):
        return shown
    return Group(shown, Text("`cin7-emarsys exceptions show CLASS` lists them one by one."))


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


def aged(found: Sequence[Any], *, applied: bool) -> RenderableType:
    """What has had its time, place by place."""
    if not found:
        return Text("Nothing is older than the policy keeps it.")
    rows = (
        (each.place, f"{each.kind}_days = {each.days}", f"{each.rows:,}", _size(each.bytes), moment(each.oldest))
        for each in found
    )
    end = "Removed." if applied else "Nothing was removed: say --apply."
    return Group(grid(("place", "kept by", "rows", "size", "oldest"), rows, right=("rows", "size")), Text(), Text(end))


def _size(size: int | None) -> str:
    if size is None:
        return "–"
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
