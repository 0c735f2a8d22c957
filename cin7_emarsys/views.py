"""What a person sees in the terminal: waterfalls, statements, run summaries.

What belongs here: turning gathered facts into tables and sentences. What does not: gathering facts, or deciding things.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cin7_emarsys.operations.sync import SyncOutcome

EXPORT_FIGURES = ("desired", "unchanged", "sent", "accepted", "rejected", "retryable", "unknown")


def as_json(data: object) -> str:
    """One JSON document: decimals as numbers written in full, times as ISO 8601 in UTC."""

    def plain(value: object) -> object:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        if isinstance(value, datetime):
            return value.isoformat() + ("Z" if value.tzinfo is None else "")
        if isinstance(value, date):
            return value.isoformat()
        return str(value)

    return json.dumps(data, default=plain, ensure_ascii=False)


def units(value: Decimal | int | None) -> str:
    """Units without needless decimals; an en dash for nothing known."""
    if value is None:
        return "–"
    text = f"{Decimal(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else "–"


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(units(cell) if isinstance(cell, Decimal) else "" if cell is None else str(cell) for cell in row)
        )
    return table


def waterfall(facts: Mapping[str, Any]) -> RenderableType:
    """One SKU from on hand to what may be promised, as a picture."""
    title = f"{facts['sku']}  {facts['title'] or ''}".strip()
    falls = facts["waterfall"]
    if falls is None:
        kind = "is not kept in stock" if facts["type"] != "Stock" else "has not been in a trusted snapshot yet"
        return Panel(f"This product {kind}, so there is nothing to take apart.", title=title, title_align="left")
    left = max(Decimal(falls["on_hand"]), Decimal(0))
    widest = max(left, Decimal(1))

    def bar(value: Decimal) -> Text:
        return Text("█" * round(28 * float(max(value, Decimal(0)) / widest)), style="cyan")

    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for column, justify in (("", "left"), ("asked", "right"), ("taken", "right"), ("left", "right"), ("", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_row("on hand, all locations", "", "", units(falls["on_hand"]), bar(left))
    for term in falls["terms"]:
        if not term["requested"]:
            continue
        left -= Decimal(term["charged"])
        name = f"− {term['meaning']}"
        table.add_row(name, units(term["requested"]), units(term["charged"]), units(left), bar(left))
    table.add_row(Text("= available to sell", style="bold"), "", "", Text(units(falls["ats"]), style="bold"), bar(left))
    lines: list[RenderableType] = [table]
    if falls["oversold"]:
        lines.append(Text(f"{units(falls['oversold'])} more units are promised than there are.", style="yellow"))
    state = facts["state"]
    if state:
        since = f" since {moment(state['changed_at'])}" if state["changed_at"] else ""
        why = f" ({state['reason']})" if state["reason"] else ""
        lines.append(Text(f"state: {state['state']}{since}{why}"))
    told = facts["published"]
    if told:
        seen = f"collected {moment(told['collected_at'])}" if told["collected_at"] else "not collected yet"
        lines.append(
            Text(
                f"Emarsys was told: available={str(told['available']).lower()}, stock {told['c_stock']}, "
                f"in version {told['version']} of {moment(told['published_at'])}, {seen}"
            )
        )
    else:
        lines.append(Text("Emarsys was never told about it."))
    return Panel(Group(*lines), title=title, title_align="left")


def evidence(facts: Mapping[str, Any]) -> RenderableType:
    """The stock rows and orders behind a waterfall."""
    parts: list[RenderableType] = []
    if facts["rows"]:
        parts.append(Text("Stock rows of the newest trusted snapshot", style="bold"))
        parts.append(
            grid(
                ("location", "bin", "batch", "expires", "on hand", "allocated", "not sold because"),
                (
                    (r["location"], r["bin"], r["batch"], r["expires_on"], r["on_hand"], r["allocated"], r["bar"])
                    for r in facts["rows"]
                ),
                right=("on hand", "allocated"),
            )
        )
    if facts["orders"]:
        parts.append(Text("Open orders that take units", style="bold"))
        parts.append(
            grid(
                ("order", "order status", "status", "date", "ordered", "picked"),
                (
                    (o["order_number"], o["order_status"], o["status"], o["ordered_on"], o["ordered"], o["picked"])
                    for o in facts["orders"]
                ),
                right=("ordered", "picked"),
            )
        )
    for hold in facts["holds"]:
        if not hold["ended_at"]:
            freed = (
                f"released {moment(hold['released_at'])}"
                if hold["released_at"]
                else (f"release it with: cin7-emarsys sync stock --release {hold['hold_id']} --reason …")
            )
            parts.append(Text(f"held by {hold['hold_id']}: {hold['reason']}; {freed}", style="yellow"))
    return Group(*parts)


def statement(facts: Mapping[str, Any]) -> RenderableType:
    """One person's lifetime value, document by document."""
    currency = facts["currency"] or ""
    table = grid(
        ("date", "document", "order", "what", "amount", f"value so far ({currency})"),
        (
            (
                d["dated_on"],
                d["number"],
                d["order_number"],
                d["note"],
                f"{d['amount']:,.2f}",
                f"{d['running_ltv']:,.2f}",
            )
            for d in facts["documents"]
        ),
        right=("amount", f"value so far ({currency})"),
    )
    average = facts["average_order_value"]
    summary = (
        f"lifetime value {facts['ltv']:,.2f} {currency} = gross {facts['gross']:,.2f} − refunded "
        f"{facts['refunded']:,.2f}; {facts['order_count']} orders"
        + (f", {average:,.2f} on average" if average is not None else "")
        + f"; {facts['customer_type']}"
    )
    parts: list[RenderableType] = [table, Text(summary, style="bold")]
    sent = facts["sent"]
    parts.append(Text(f"contact accepted by Emarsys {moment(sent['accepted_at'])}" if sent else "not sent to Emarsys"))
    if facts["events"]:
        parts.append(
            grid(
                ("event", "kind", "since", "outcome"),
                ((e["event"], e["kind"], moment(e["fact_at"]), e["outcome"]) for e in facts["events"]),
            )
        )
    return Panel(Group(*parts), title=str(facts["email"] or facts["person_id"]), title_align="left")


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


def complain(console: Console, message: str) -> None:
    console.print(Text(message, style="red"))
