"""One customer: the statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from cin7_emarsys.views.text import grid, moment


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
