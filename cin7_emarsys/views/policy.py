"""What a changed policy would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cin7_emarsys.operations.explain import TERMS
from cin7_emarsys.views.text import grid, moment, units

_SHOWN = 25
_FLIPS = {"rise": "comes back", "fall": "goes out"}


def previewed(found: Mapping[str, Any]) -> RenderableType:
    """The settings that differ, the totals, the holds, and the items that differ most."""
    return Group(*_parts(found))


def _parts(found: Mapping[str, Any]) -> Iterable[RenderableType]:
    if not found["settings"]:
        yield Text(f"{found['file']} says the same as the running policy: nothing would change.")
        return
    totals, snapshot = found["totals"], found["snapshot"]
    yield Text("Settings that differ", style="bold")
    yield grid(
        ("setting", "now", "would be"), ((s["name"], _short(s["was"]), _short(s["would"])) for s in found["settings"])
    )
    yield Text(f"\nOn the snapshot of {moment(snapshot['taken_at'])}:", style="bold")
    if not totals["items"]:
        yield Text("no item's units, state or price would change.")
    else:
        yield Text(
            f"{totals['items']:,} items would change: units to sell of {totals['ats']:,}, state of {totals['states']:,}, "
            f"price of {totals['prices']:,}. {totals['rises']:,} come back into stock, {totals['falls']:,} go out."
        )
    for place in found["unknown_locations"]:
        yield Text(f"Cin7 knows no location {place['location']!r}: its stock would count for nothing.", style="yellow")
    for hold in found["holds"]:
        what = "Returns" if hold["kind"] == "rise" else "Prices"
        yield Text(
            f"{what} that would be held until they are released: {hold['items']:,} ({hold['reason']})", style="yellow"
        )
    if totals["items"]:
        yield Text()
        yield grid(
            ("item", "to sell", "state", "price", "because of"),
            (
                (
                    item["sku"],
                    _step(units(item["ats_was"]), units(item["ats_would"])),
                    _FLIPS.get(item["flip"]) or _step(_words(item["state_was"]), _words(item["state_would"])),
                    _step(_price(item["price_was"]), _price(item["price_would"])),
                    ", ".join(_term(term) for term in item["terms"]),
                )
                for item in found["items"][:_SHOWN]
            ),
            right=("to sell", "price"),
        )
    if totals["items"] > _SHOWN:
        yield Text(f"… and {totals['items'] - _SHOWN:,} more; --json lists all of them")


def _term(term: Mapping[str, Any]) -> str:
    return f"{TERMS.get(term['term'], 'built from components')} {_step(units(term['was']), units(term['would']))}"


def _step(was: str, would: str) -> str:
    return was if was == would else f"{was} → {would}"


def _words(state: str | None) -> str:
    return state.replace("_", " ") if state else "–"


def _price(price: Any) -> str:
    return "–" if price is None else f"{price:,.2f}"


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {given}" for name, given in value.items() if given is not None)
    text = ", ".join(map(_short, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
