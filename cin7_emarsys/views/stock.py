"""One item: its waterfall as a picture, and the rows and orders behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cin7_emarsys.views.text import grid, moment, units

_BAR = 28
_BARRED = {
    "non_sellable_location": "we do not sell from there",
    "blocked_bin": "blocked or staging bin",
    "expired": "not enough shelf life",
}
_BUFFERS = {"sku": "of this SKU", "category": "of its category", "default": "of every product"}
_FAULTS = {
    "cycle": "it needs itself",
    "missing": "a component is not in Cin7",
    "deprecated": "a component is deprecated",
    "no_quantity": "a component has no quantity",
    "no_components": "it names no component that is counted",
}
_TAKEN = {"allocated": "allocated", "open_unallocated": "not allocated yet"}


def explanation(facts: Mapping[str, Any]) -> RenderableType:
    """Why one SKU is, or is not, available: the waterfall, the state, what Emarsys was told, the evidence."""
    title = f"{facts['sku']}  {facts['title'] or ''}".strip()
    when = f"as known at {moment(facts['at'])}" if facts["at"] else None
    return Panel(
        Group(*_picture(facts), Text(), *_said(facts), *_evidence(facts)),
        title=Text(title, style="bold"),
        title_align="left",
        subtitle=when,
        subtitle_align="left",
    )


def waterfall(facts: Mapping[str, Any]) -> RenderableType:
    """The picture and the state alone."""
    title = Text(f"{facts['sku']}  {facts['title'] or ''}".strip(), style="bold")
    return Panel(Group(*_picture(facts), Text(), *_said(facts)), title=title, title_align="left")


def _picture(facts: Mapping[str, Any]) -> Iterable[RenderableType]:
    falls = facts["waterfall"]
    if falls is None:
        yield Text("There is nothing to take apart.")
        return
    left = max(falls["on_hand"], Decimal(0))
    widest = max(left + falls["kit_build"], Decimal(1))

    def bar(value: Decimal, gone: Decimal = Decimal(0)) -> Text:
        ends = [round(_BAR * float(max(end, Decimal(0)) / widest)) for end in (value, value + gone)]
        return Text("█" * ends[0], style="cyan") + Text("░" * (ends[1] - ends[0]), style="red")

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "asked", "taken", "left", ""):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("on hand, all locations", "", "", units(falls["on_hand"]), bar(left))
    if falls["shortfall"]:
        table.add_row("+ counted below nothing", "", "", "0", "")
    built = falls["kit_build"]
    for term in falls["terms"]:
        if term["term"] == "open_unallocated" and built:
            left += built
            table.add_row("+ can be built from components", "", "", units(left), bar(left))
        if term["requested"]:
            left -= term["charged"]
            asked, taken = units(term["requested"]), units(term["charged"])
            table.add_row(f"− {term['meaning']}", asked, taken, units(left), bar(left, term["charged"]))
    if falls["fraction"]:
        left -= falls["fraction"]
        table.add_row("− less than a whole unit", "", units(falls["fraction"]), units(left), bar(left))
    total = Text(units(falls["ats"]), style="bold")
    table.add_row(Text("= available to sell", style="bold"), "", "", total, bar(left))
    yield table
    if falls["oversold"]:
        yield Text(f"{units(falls['oversold'])} more units are promised than there are.", style="yellow")
    if falls["untrusted_reason"]:
        yield Text(f"These figures are not trusted: {falls['untrusted_reason']}.", style="yellow")


def _said(facts: Mapping[str, Any]) -> Iterable[RenderableType]:
    state = facts["state"]
    known = state["state"].replace("_", " ") if state else "no state yet"
    since = f" since {moment(state['changed_at'])}" if state and state["changed_at"] else ""
    yield Text(f"{known}{since}: ", style="bold") + Text(facts["why"], style="not bold")
    if facts["renamed_to"] and facts["renamed_to"] != facts["sku"]:
        yield Text(f"The product is called {facts['renamed_to']} now.")
    told, had = facts["published"], facts["collected"]
    if told is None:
        yield Text("Emarsys was never told about it.")
    else:
        yield Text(f"published  {_item(told)}, since version {told['since_version']}; newest version {told['version']}")
        yield Text(
            f"at Emarsys {_item(had)}, version {had['version']} collected {moment(had['collected_at'])}"
            if had
            else "at Emarsys nothing: no version that lists it has been collected"
        )
    for hold in facts["holds"]:
        if not hold["ended_at"]:
            freed = (
                f"released {moment(hold['released_at'])}"
                if hold["released_at"]
                else f"free it with: cin7-emarsys sync stock --release {hold['hold_id']} --reason …"
            )
            yield Text(
                f"hold {hold['hold_id']} since {moment(hold['held_at'])}: {hold['reason']}; {freed}", style="yellow"
            )


def _item(told: Mapping[str, Any]) -> str:
    price = "no price" if told["price"] is None else f"price {told['price']:,.2f}"
    shown = "available" if told["available"] else "not available"
    return f"{shown}, stock {told['c_stock']}, {price}"


def _evidence(facts: Mapping[str, Any]) -> Iterable[RenderableType]:
    if facts["rows"]:
        yield Text("\nStock rows, as counted", style="bold")
        yield grid(
            ("location", "bin", "batch", "expires", "on hand", "allocated", "not sold because"),
            (
                (
                    r["location"],
                    r["bin"],
                    r["batch"],
                    r["expires_on"],
                    r["on_hand"],
                    r["allocated"],
                    _BARRED.get(r["bar"], r["bar"]),
                )
                for r in facts["rows"]
            ),
            right=("on hand", "allocated"),
        )
    if facts["orders"]:
        yield Text("\nOpen orders that take units", style="bold")
        yield grid(
            ("order", "date", "ordered", "picked", "takes", "counted as", "status"),
            (
                (
                    o["order_number"],
                    o["ordered_on"],
                    o["ordered"],
                    o["picked"],
                    o["units"],
                    _TAKEN.get(o["term"], o["term"]),
                    o["status"],
                )
                for o in facts["orders"]
            ),
            right=("ordered", "picked", "takes"),
        )
    if facts["kit_orders"]:
        yield Text("\nLeft for kits that are ordered or held beyond their own stock", style="bold")
        yield grid(
            ("kit", "location", "for orders", "for holds"),
            ((k["kit"], k["location"] or "all", k["order_units"], k["hold_units"]) for k in facts["kit_orders"]),
            right=("for orders", "for holds"),
        )
    if facts["rules"]:
        yield Text("\nHolds and buffer", style="bold")
        yield grid(
            ("rule", "sets aside", "ordered since"), (_rule(rule) for rule in facts["rules"]), right=("ordered since",)
        )
    if facts["components"]:
        yield Text("\nComponents, free for it", style="bold")
        yield grid(
            ("component", "location", "needed for one run", "free", "runs", ""),
            (
                (c["sku"], c["location"], c["need"], c["free"], c["allows"], "limits" if c["limits"] else "")
                for c in facts["components"]
            ),
            right=("needed for one run", "free", "runs"),
        )
    for fault in facts["bill_faults"]:
        words = _FAULTS.get(fault["fault"], fault["fault"])
        yield Text(f"Its bill of materials is wrong, so none is built: {words}: {fault['path']}", style="yellow")
    if facts["changes"]:
        yield Text("\nChanges of state, newest first", style="bold")
        yield grid(
            ("at", "from", "to"),
            (
                (moment(c["changed_at"]), c["from_state"].replace("_", " "), c["to_state"].replace("_", " "))
                for c in facts["changes"][:5]
            ),
        )


def _rule(rule: Mapping[str, Any]) -> tuple[object, ...]:
    what = f"hold {rule['name']}" if rule["rule"] == "hold" else f"buffer ({_BUFFERS[rule['name']]})"
    given = [f"{units(rule['units'])} unit" + ("" if rule["units"] == 1 else "s")] if rule["units"] else []
    given += [f"{units(rule['percent'])} % of what remains"] if rule["percent"] else []
    return what, " or ".join(given), rule["ordered"]
