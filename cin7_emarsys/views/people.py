"""One customer: the statement; and who is written down to be the same person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from cin7_emarsys.views.text import count, grid, moment, money

_NOTES = {
    "purchase": "purchase",
    "fully_refunded": "purchase, given back whole",
    "over_refunded": "purchase, credited beyond its value",
    "no_value": "worth nothing",
    "refund": "refund",
    "standalone_refund": "refund without an order",
    "open_order": "open order, not invoiced yet",
}
_RULES = {
    "sale_email": "stands on sales",
    "default_contact": "the account's default contact",
    "customer_account": "an account without e-mail",
    "contact": "contact of an account",
    "moved_contact": "the former address of the account",
    "written_alias": "written by hand",
}


def statement(facts: Mapping[str, Any]) -> RenderableType:
    """One person's lifetime value, document by document, and what Emarsys was told."""
    currency = facts["currency"] or ""
    average = facts["average_order_value"]
    about = [facts["name"], facts["customer_type"], f"consent at Cin7: {facts['consent'].replace('_', '-')}"]
    if facts["customer_id"]:
        about.append(f"customer id {facts['customer_id']}")
    summary = (
        f"lifetime value {money(facts['ltv'])} {currency} = gross {money(facts['gross'])} − refunded "
        f"{money(facts['refunded'])}; {count(facts['order_count'], 'order')}"
        + (f", {money(average)} on average" if average is not None else "")
        + (f"; {count(facts['open_orders'], 'open order')}" if facts["open_orders"] else "")
    )
    parts: list[RenderableType] = [
        Text(" · ".join(part for part in about if part)),
        Text(),
        _documents(facts["documents"], currency) if facts["documents"] else Text("no documents and no open orders"),
        Text("Dates are the account's own, in its time zone.", style="dim"),
        Text(),
        Text(summary, style="bold"),
    ]
    if facts["changes"]:
        rows = (
            (moment(c["changed_at"]), c["reason"], money(c["difference"], signed=True)) for c in facts["changes"][:10]
        )
        parts += _section("Why it changed", grid(("seen", "document", "by"), rows, right=("by",)))
    if facts["aliases"]:
        shown = (
            (
                a["key"],
                _RULES.get(a["rule"], a["rule"]) + (f": {a['reason']}" if a["reason"] else ""),
                a["sales"],
                a["last_on"],
            )
            for a in facts["aliases"]
        )
        parts += _section("Known by", grid(("key", "why", "sales", "latest"), shown, right=("sales",)))
    parts += _section("At Emarsys", _sent(facts["sent"]))
    if facts["events"]:
        events = (
            (e["event"], e["order_number"], e["kind"], moment(e["fact_at"]), e["outcome"].replace("_", " "))
            for e in facts["events"]
        )
        parts += _section("Events", grid(("event", "order", "kind", "happened", "outcome"), events))
    return Panel(Group(*parts), title=str(facts["email"] or facts["person_id"]), title_align="left")


def joined(row: Mapping[str, Any]) -> Text:
    return Text(f"{row['alias']} is {row['person']} from the next sync on ({row['reason']})")


def parted(row: Mapping[str, Any]) -> Text:
    return Text(f"{row['alias']} is a person of its own again from the next sync on (was {row['person']})")


def aliases(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Every written alias."""
    if not rows:
        return Text("no aliases are written")
    listed = ((r["alias"], r["person"], r["reason"], r["who"], moment(r["written_at"])) for r in rows)
    return grid(("alias", "is", "why", "written by", "at"), listed)


def erasure(done: Any) -> RenderableType:
    """What an erasure would take, or took, place by place."""
    person = done.person
    who = ", ".join(person.addresses) + (f"; account {', '.join(person.accounts)}" if person.accounts else "")
    parts: list[RenderableType] = [
        Text(f"{'Would forget' if done.dry_run else 'Forgot'} {who}", style="bold"),
        Text(),
        grid(("place", "rows"), done.places.items(), right=("rows",))
        if done.places
        else Text("Nothing was left of her."),
    ]
    if done.deleted_at_emarsys is not None:
        there = count(done.deleted_at_emarsys, "contact") if done.deleted_at_emarsys else "no contact, none was there"
        parts += [Text(), Text(f"Deleted at Emarsys: {there}.")]
    if person.related:
        parts += [
            Text(),
            Text(
                f"Documents or contacts of the same account have other addresses: {', '.join(person.related)}.\n"
                "If they are the same person's, erase them as well."
            ),
        ]
    if done.left:
        parts += [
            Text(),
            Text("STILL NAMED, say it again or report it:", style="red"),
            grid(("place", "rows"), done.left.items()),
        ]
    elif done.dry_run:
        if done.unsearched_bytes:
            parts += [
                Text(),
                Text(
                    f"Landed files ({done.unsearched_bytes / 1e6:,.1f} MB) are searched when it is done, and cleared of her."
                ),
            ]
        parts += [Text(), Text("Nothing was changed.")]
    else:
        parts += [
            Text(),
            Text("Every table, the ledger and the landed files were searched afterwards: nothing names her."),
        ]
    return Group(*parts)


def _documents(documents: Iterable[Mapping[str, Any]], currency: str) -> RenderableType:
    running = f"value ({currency})" if currency else "value"
    rows = []
    for d in documents:
        what = _NOTES.get(d["note"], d["note"])
        if d["currency"] and d["rate"] is not None and d["rate"] != 1:
            what += f"; {d['currency']} {money(d['document_amount'])} at {d['rate']:.4f}"
        if d["fx_difference"]:
            what += f"; {money(d['fx_difference'], signed=True)} by the rate"
        if d["fault"]:
            what += f"; ! {d['fault']}"
        counts = d["document_kind"] != "open_order"
        rows.append(
            (
                d["dated_on"],
                d["number"] or "",
                d["order_number"],
                what,
                money(d["amount"]) if counts else "",
                money(d["running_ltv"]) if counts else "",
            )
        )
    return grid(("date", "document", "order", "what", "amount", running), rows, right=("amount", running))


def _sent(sent: Mapping[str, Any] | None) -> RenderableType:
    if not sent:
        return Text("nothing has been accepted for this person")
    payload = sent["payload"]
    fields = json.loads(payload) if isinstance(payload, str) else payload
    shown = Text(f"accepted {moment(sent['accepted_at'])}: ")
    for place, (name, value) in enumerate(fields.items()):
        shown.append(" · " if place else "").append(f"{name} ", "dim").append(str(value).replace(" ", "\u00a0"))
    return shown


def _section(title: str, content: RenderableType) -> list[RenderableType]:
    return [Text(), Text(title, style="bold underline"), content]
