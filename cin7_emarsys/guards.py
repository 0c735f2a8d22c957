"""Guards: what an export refuses to do, in words, and which of it a person may override, once, with a reason.

What belongs here: their names, their sentences, which flow each guards, and the tag by which a run carries an override. What
does not: refusing (each flow does that) and keeping the override (``emarsys/delivery.py``: whoever starts the run, it is
noted).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

TAG = "cin7_emarsys/overrides"


@dataclass(frozen=True)
class Guard:
    """``refusal`` says what is not done, for {count} records; ``why_not`` why nobody may override it (None: one may)."""

    flows: tuple[str, ...]
    refusal: str
    why_not: str | None = None


GUARDS: Mapping[str, Guard] = {
    "not_armed": Guard(
        ("contacts", "catalogue", "sales", "events"),
        "armed is false in merchant.toml, so nothing is sent: {count} records would be",
    ),
    "catalogue_not_shrunk": Guard(
        ("catalogue",), "the product file would be much smaller than the one published last, so it is not published"
    ),
    "empty_value": Guard(
        ("contacts",), "{count} contacts keep a value at Emarsys that is empty in Cin7 now: it is not cleared"
    ),
    "foreign_field": Guard(
        ("contacts",), "{count} fields of the field map belong to another system (system_of_record) and are not written"
    ),
    "too_late": Guard(("events",), "{count} events are older than their deadline and are not sent"),
    "no_consent": Guard(
        ("events",),
        "{count} marketing events are for people without consent at Emarsys and are not sent",
        "consent is not ours to give: let the person opt in at Emarsys",
    ),
    "opt_in": Guard(
        ("contacts",),
        "opt-in is never written with yes",
        "opt-in belongs to Emarsys and to the person: it is never written with yes",
    ),
    "held_changes": Guard(
        ("catalogue",),
        "{count} changes are held by the circuit breaker",
        "a hold is released by its name, for what is still true then: cin7-emarsys sync stock --release HOLD --reason R",
    ),
}


class NotOverridable(Exception):
    """The guard cannot be overridden, is unknown, or guards nothing of what is run; the text says which and why."""


def check(name: str, flows: tuple[str, ...] = ()) -> None:
    """Raises `NotOverridable` unless this guard may be overridden and guards one of ``flows`` (none given: any)."""
    guard = GUARDS.get(name)
    if guard is None:
        may = ", ".join(known for known, each in GUARDS.items() if each.why_not is None)
        raise NotOverridable(f"there is no guard {name}; those that can be overridden: {may}")
    if guard.why_not:
        raise NotOverridable(f"{name} cannot be overridden: {guard.why_not}")
    if flows and not set(flows) & set(guard.flows):
        raise NotOverridable(f"{name} guards {', '.join(guard.flows)}, and this job sends none of these")


def tag(overrides: Mapping[str, str]) -> dict[str, str]:
    """The tag of a run with these overrides (guard → reason)."""
    return {TAG: json.dumps(dict(overrides))} if overrides else {}


def of_run(tags: Mapping[str, str], flow: str) -> dict[str, str]:
    """The overrides of a run that concern a flow, guard → reason. Raises `NotOverridable`.

    They hold once: a retry or re-execution, which inherits the tags of the run before, has none.
    """
    given = {} if "dagster/parent_run_id" in tags else json.loads(tags.get(TAG, "{}"))
    for name in given:
        check(name)
    return {name: str(reason) for name, reason in given.items() if flow in GUARDS[name].flows}


def sentence(name: str, count: int) -> str:
    """What was refused, and how that can be overridden."""
    guard = GUARDS[name]
    how = guard.why_not or f"once: --override {name} --reason R"
    return f"{guard.refusal.format(count=f'{count:,}')} ({how})"
