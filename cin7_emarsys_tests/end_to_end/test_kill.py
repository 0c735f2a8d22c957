"""A process that is killed: nothing lost, nothing doubled, and what cannot be known is named, line by line."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place, warehouse

# Where a process dies: seconds after its start, or a point between two of its commits. Contacts go in one batch and before
# sales, so that the second passing is that of the sales data.
_MOMENTS: tuple[tuple[float | str, ...], ...] = (
    ("answered@2",),
    (3.5, 5.0, 6.0, 6.5, 8.0, 9.5),
    ("loaded", "watermark", "planned", "intended@2", "connecting", "closed", "connecting@2", "file_in_place"),
    ("landed", "sent", "sent@2", "answered", "moved", "published"),
)
Line = tuple[Any, ...]


def killed(place: Place, moment: float | str, job: str = "nightly") -> bool:
    """Whether it died: a point need not be reached."""
    point = {"CRASH_AT": moment} if isinstance(moment, str) else {}
    with place.start("sync", job, "--json", **point) as process:
        if isinstance(moment, float):
            time.sleep(moment)
            process.kill()
        process.communicate(timeout=120)
    return process.returncode == -signal.SIGKILL


def _line(payload: str) -> Line:
    """A parked sales line as the judge would show it."""
    line = json.loads(payload)
    return (line["order"], line["item"], Decimal(str(line["price"])), Decimal(str(line["quantity"])), line["email"])


def _lines(place: Place) -> Counter[Line]:
    return Counter((o, i, Decimal(str(p)), Decimal(str(q)), e) for o, i, p, q, e, _ in place.judged()["sales"])


def _parked(place: Place, flow: str) -> list[tuple[int, int, str, str]]:
    """Record, batch, key and payload of what is unknown."""
    return place.rows(
        "select record_id, batch_id, key, payload::varchar from delivery.records "
        f"where flow = '{flow}' and outcome = 'unknown' order by record_id"
    )


def _resolve(place: Place, flow: str, applied: Counter[Any], name: dict[int, Any]) -> None:
    """Each parked record of a flow by the judge's truth: ``applied`` has what arrived, ``name`` the record's name there."""
    batches: dict[int, list[tuple[int, str]]] = {}
    for record, batch, _, _ in _parked(place, flow):
        arrived = applied[name[record]] > 0
        applied[name[record]] -= arrived
        batches.setdefault(batch, []).append((record, "accepted" if arrived else "not-applied"))
    for batch, records in batches.items():
        verdicts = {verdict for _, verdict in records}
        if len(verdicts) == 1:  # as a rule a batch arrives whole or not at all
            place.run("unknowns", "resolve", *verdicts, "--batch", str(batch), "--reason", "the judge's truth")
        else:
            for record, verdict in records:
                place.run("unknowns", "resolve", verdict, "--record", str(record), "--reason", "the judge's truth")


@pytest.mark.trouble
@pytest.mark.parametrize("moments", _MOMENTS)
def test_killed_then_synced_again(loaded: Place, place: Place, moments: tuple[float | str, ...]) -> None:
    for moment in moments:
        killed(place, moment)
    place.sync("nightly")
    assert warehouse(place) == warehouse(loaded)
    mine, undisturbed = place.judged(), loaded.judged()
    assert mine["contacts"] == undisturbed["contacts"]
    assert mine["events"] == undisturbed["events"]

    parked = _parked(place, "sales")
    if moments == ("answered@2",):
        assert parked
    assert len({batch for _, batch, _, _ in parked}) <= len(moments)  # at most one batch for each kill
    name = {record: _line(payload) for record, _, _, payload in parked}
    have, wanted = _lines(place), _lines(loaded)
    assert have - wanted == Counter()  # nothing doubled
    assert (wanted - have) - Counter(name.values()) == Counter()  # nothing missing but what is named
    sure = have - Counter(name.values())
    _resolve(place, "sales", have - sure, name)
    place.sync("orders")
    assert _parked(place, "sales") == []
    assert place.judged() == undisturbed


@pytest.mark.trouble
@pytest.mark.parametrize("point", ["intended", "connecting", "sent", "answered", "closed"])
def test_killed_while_a_day_is_told(place: Place, point: str) -> None:
    """Contacts, sales lines and events are in flight, one flow after the other, and each is killed."""
    place.sync("nightly")
    place.ask("CIN7", "/_sandbox/merchant", {"do": "day"})
    # What died in doubt is parked and not passed again, so that the last may find nothing more to die at.
    points = (point, f"{point}@2", point, f"{point}@2")
    assert [killed(place, each, "orders") for each in points][:3] == [True] * 3
    place.sync("orders")
    for flow in ("sales", "events"):
        parked = _parked(place, flow)
        assert len({batch for _, batch, _, _ in parked}) <= len(points)
        if flow == "sales":
            name: dict[int, Any] = {record: _line(payload) for record, _, _, payload in parked}
            _resolve(place, flow, _lines(place), name)
        else:
            name = {record: key for record, _, key, _ in parked}
            _resolve(place, flow, Counter(trigger for _, trigger, _ in place.judged()["events"]), name)
    place.sync("orders")
    events = Counter(trigger for _, trigger, _ in place.judged()["events"])
    assert set(events.values()) == {1}
    told = place.rows("select trigger_id from mart.order_events where kind = 'transactional'")
    assert {trigger for (trigger,) in told} <= set(events)
    mart = place.rows('select "order", item, price, quantity, email from mart.sales_lines')
    assert _lines(place) == Counter(mart)
