"""One item: its waterfall, and the rows and orders behind it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cin7_emarsys.views.text import grid, moment, units


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
