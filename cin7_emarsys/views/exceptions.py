"""What a person must look at, in the terminal and in the documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from cin7_emarsys.views.text import grid, moment

if TYPE_CHECKING:
    from cin7_emarsys.merchant import Threshold
    from cin7_emarsys.warehouse.gates import Condition


def listed(rows: list[dict[str, Any]]) -> RenderableType:
    """One paragraph for each: how bad, what, how many and how old, who, what to do."""
    if not rows:
        return Text("Nothing to look at: no exception is open.")
    return Group(*(part for row in rows for part in (_paragraph(row), Text())))


_STYLES = {"CRITICAL": "bold red", "WARNING": "yellow", "NOTE": "dim"}


def _paragraph(row: Mapping[str, Any]) -> Text:
    label = row["severity"] if row["state"] == "open" else row["state"]
    name = row["class"] + (f" / {row['cause']}" if row["cause"] else "")
    count = row["count"] or row["ignored"]
    who = row["owner"] + (f", taken on by {row['assigned_to']}" if row["assigned_to"] else "")
    text = Text.assemble((f"{label:<9}", _STYLES.get(label, "dim")), (name, "bold"))
    if row["state"] == "resolved":
        return text.append(f": gone since {moment(row['resolved_at'])}")
    late = "overdue since" if row["overdue"] else "due"
    text.append(f": {count:,} since {moment(row['first_seen_at'])}, {late} {moment(row['due_at'])}, for {who}")
    text.append(f"\n  {row['meaning']}")
    if row["state"] == "ignored":
        text.append(f"\n  ignored until {moment(row['ignored_until'])}: {row['reason']}")
    if row["examples"]:
        text.append(f"\n  e.g. {', '.join(row['examples'])}")
    return text.append(f"\n  what to do: {row['next_step']}")


def shown(facts: Mapping[str, Any]) -> RenderableType:
    """One class with its items and what was decided."""
    parts: list[RenderableType] = [listed(facts["exceptions"])]
    if facts["items"]:
        rows = (
            (item["key"], item["cause"], moment(item["first_seen_at"]), moment(item["resolved_at"]), item["reopened"])
            for item in facts["items"]
        )
        parts.append(grid(("item", "cause", "since", "gone since", "came back"), rows, ("came back",)))
        if facts["items_in_all"] > len(facts["items"]):
            parts.append(Text(f"… {len(facts['items']):,} of {facts['items_in_all']:,}; --limit shows more"))
    if facts["decisions"]:
        rows = (
            (
                moment(each["decided_at"]), each["who"], each["key"] or "the whole class",
                f"for {each['assigned_to']}" if each["assigned_to"] else f"ignored until {moment(each['ignored_until'])}",
                each["reason"],
            )
            for each in facts["decisions"]
        )  # fmt: skip
        parts += [Text(), grid(("decided", "by", "about", "what", "why"), rows)]
    return Group(*parts)


def reconciled(facts: Mapping[str, Any]) -> RenderableType:
    """What was read and compared, and what somebody has to look at."""
    read, export = facts["contacts"], facts["catalogue"]
    said = f"{read['asked']:,} contacts asked for, {read['found']:,} found"
    said += f", {read['not_read']:,} not read" if read["not_read"] else ""
    said += f"; the reading ended early: {read['ended_early']}" if read["ended_early"] else ""
    parts: list[RenderableType] = [Text(said + ".")]
    if export:
        left = f", {export['left_out']:,} rows left out" if export["left_out"] else ""
        parts.append(Text(f"{export['items']:,} items of the export compared by {', '.join(export['columns'])}{left}."))
    flows = ("flow", "source", "excluded", "eligible", "unchanged", "sent", "rejected", "unknown", "parked", "open")
    parts += [Text(), grid(flows, ([row[name] for name in flows] for row in facts["balance"]), flows[1:])]
    systems = {"emarsys": "Emarsys", "cin7": "Cin7"}
    for title, where, kinds in (
        ("only on one side", "missing at", facts["orphans"]),
        ("different", "field", facts["drift"]),
    ):
        rows = [
            (
                kind["rows"], kind["what"], systems[kind["missing_at"]] if "missing_at" in kind else kind["field"],
                kind["cause"], "nobody" if kind["expected"] else kind["owner"],
            )
            for kind in kinds
        ]  # fmt: skip
        if rows:
            parts += [Text(), grid(("count", title, where, "cause", "who looks"), rows, ("count",))]
    return Group(*parts, Text(), listed(facts["exceptions"]))


def decided(row: Mapping[str, Any]) -> Text:
    what = row["class"] + (f", {row['key']}" if row["key"] else "")
    if row["assigned_to"]:
        return Text(f"{what}: for {row['assigned_to']}")
    if row["ignored_until"] <= row["decided_at"]:
        return Text(f"{what}: is ignored no longer, for {moment(row['ignored_until'])} has gone by")
    return Text(f"{what}: alarms nobody until {moment(row['ignored_until'])}")


def document(classes: Iterable[Condition]) -> str:
    """All classes as a table in Markdown, for docs/checks.md."""
    lines = [
        "| Class and check | On | Level | Says | What it means | Who | Due in | What to do |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in classes:
        on = ", ".join(asset.replace(".", "/") for asset in each.assets)
        level = f"guards {', '.join(each.guards)}" if each.guards else "blocking" if each.blocking else each.severity
        critical = _words(each.critical)
        says = each.title.format(rows="n", minutes="m")
        what = each.next_step.format(rows="n", minutes="m")
        level += f"; critical: {critical}" if critical else ""
        lines.append(
            f"| `{each.name}` | {on} | {level} | {says} | {each.means} | {each.owner} | {each.due_hours} h | {what} |"
        )
    return "\n".join(lines) + "\n"


def _words(threshold: Threshold) -> str:
    parts = (
        f"{threshold.count:,}" if threshold.count else "",
        f"{threshold.share:.0%} of all" if threshold.share else "",
        f"older than {threshold.hours:g} h" if threshold.hours else "",
    )
    return " or ".join(part for part in parts if part)
