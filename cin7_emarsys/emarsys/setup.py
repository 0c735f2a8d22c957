"""What an Emarsys account needs before anything can be sent, and making what can be made.

What belongs here: comparing the account with the field map and the events of the policy. What does not: sending.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cin7_emarsys.emarsys.client import Emarsys
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.merchant import Merchant
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import TransportError

# Types of ours → types that a field made by the API can have.
_MADE_AS = {"text": "longtext", "numeric": "numeric", "date": "date"}
_FITTING = {
    "text": ("shorttext", "longtext", "largetext", "url"),
    "numeric": ("numeric",),
    "date": ("date",),
    "choice": ("singlechoice",),
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is good, what was found, and what to do. ``can_make`` says `--apply` would."""

    what: str
    state: Literal["good", "missing", "wrong", "made"]
    detail: str
    next_step: str = ""
    can_make: bool = False


def survey(emarsys: Emarsys, merchant: Merchant) -> list[Finding]:
    """Looks at fields and events of the account. Raises a `TransportError`."""
    findings = []
    fields = {str(field.get("string_id") or field.get("name")): field for field in emarsys.fields()}
    for row in merchant.contacts.field_map:
        field = fields.get(row.string_id)
        if field is None:
            makeable = emarsys.can_make and row.type in _MADE_AS
            step = "cin7-emarsys setup --apply" if makeable else "make this field in Emarsys; the API cannot"
            findings.append(Finding(f"field {row.string_id}", "missing", f"for {row.attribute}", step, makeable))
            continue
        kind = str(field.get("application_type", ""))
        if not kind or kind in _FITTING[row.type]:
            findings.append(Finding(f"field {row.string_id}", "good", f"{kind or 'there'}, for {row.attribute}"))
        else:
            step = f"map {row.attribute} to a field of type {' or '.join(_FITTING[row.type])}"
            findings.append(Finding(f"field {row.string_id}", "wrong", f"is {kind}, needs {row.type}", step))
    events = emarsys.events()
    for name, event in merchant.events.items():
        if not event.enabled:
            continue
        if event.name in events:
            findings.append(Finding(f"event {event.name}", "good", f"for {name}"))
        else:
            step = "cin7-emarsys setup --apply" if emarsys.can_make else f"name it: event_configurations.{name}"
            findings.append(Finding(f"event {event.name}", "missing", f"for {name}", step, emarsys.can_make))
    return findings


def make(emarsys: Emarsys, merchant: Merchant, findings: list[Finding]) -> list[Finding]:
    """Makes the fields and events that are missing and can be made. Returns what was made."""
    kinds = {row.string_id: row.type for row in merchant.contacts.field_map}
    made = []
    for finding in findings:
        if finding.state != "missing" or not finding.can_make:
            continue
        what, name = finding.what.split(" ", 1)
        if what == "field":
            emarsys.create_field(name.replace("_", " ").capitalize(), _MADE_AS[kinds[name]], name)
        else:
            emarsys.create_event(name)
        made.append(Finding(finding.what, "made", finding.detail))
    return made


def permissions(emarsys: Emarsys) -> list[Finding]:
    """Whether the credential may do what the flows need, as far as a call without effect can tell."""
    asks: dict[str, tuple[str, Callable[[], object]]] = {
        "read fields": ("field.list", emarsys.fields),
        "read events": ("externalevent.list", emarsys.events),
        "read contacts": ("contact.getdata", lambda: emarsys.contact_data(["nobody@example.com"], [])),
        "read settings": ("customer.settings", emarsys.settings),
    }
    findings = []
    for what, (permission, ask) in asks.items():
        try:
            ask()
            findings.append(Finding(what, "good", "allowed"))
        except TransportError as error:
            step = f"switch {permission} on for this API credential (Management > Security Settings)"
            findings.append(Finding(what, "wrong", error.detail, step))
    return findings


def prepare(settings: Settings) -> int:
    """Makes the fields and events that are missing. Returns how many were made."""
    with connect(settings) as emarsys:
        return len(make(emarsys, settings.merchant, survey(emarsys, settings.merchant)))
