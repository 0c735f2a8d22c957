"""A day of alerts with an outage in its middle: through jobs and sensors, each turn and each recovery is told once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from dagster import DagsterInstance, build_sensor_context

from cin7_emarsys.operations import sync as syncing
from cin7_emarsys.operations.telling import Undelivered
from cin7_emarsys_tests.end_to_end.conftest import Place
from cin7_emarsys_tests.operations.conftest import Endpoint, endpoint

# apprise loads its mail plug-in, which imports imghdr
pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]
__all__ = ["endpoint"]

_EMARSYS_DOWN = {"name": "html-200", "service": "emarsys"}  # a page that says so
_SHORT_SNAPSHOT = {"name": "incomplete-snapshot", "service": "cin7", "path": "productavailability"}


class Day:
    """Jobs on one instance, and after them the sensors, as schedules and daemon would have them at each hour."""

    def __init__(self, place: Place, instance: DagsterInstance) -> None:
        from cin7_emarsys.definitions import defs

        self._place, self._instance = place, instance
        self._repository = defs.get_repository_def()
        self._hour = 0.0
        self.failed_ticks = 0

    def faults(self, *specs: dict[str, Any]) -> None:
        self._place.ask("EMARSYS", "/_sandbox/faults", list(specs), "PUT")

    def deed(self, name: str, **more: object) -> dict[str, Any]:
        done: dict[str, Any] = self._place.ask("CIN7", "/_sandbox/merchant", {"do": name, **more})
        return done

    def comes(self, hour: float, *jobs: str) -> None:
        """The clock reaches an hour; somebody buys, the jobs run, the sensors look."""
        self._place.ask("CIN7", "/_sandbox/clock", {"advance": (hour - self._hour) * 3600})
        self._hour = hour
        self.deed("order", quantity=1)
        for job in jobs:
            syncing.sync(job, on=self._instance)
        for name in ("state_alerts", "run_failures"):
            self._look(name)

    def _look(self, name: str) -> None:
        context = build_sensor_context(instance=self._instance, repository_def=self._repository, sensor_name=name)
        with context:
            try:
                self._repository.get_sensor_def(name).evaluate_tick(context)
            except Undelivered:
                self.failed_ticks += 1


def _turns(channel: Endpoint) -> list[tuple[str, str]]:
    """What a channel was told, in order: the check or job, and what it turned to."""
    said = re.findall(
        r"^(WARNING|CRITICAL|RECOVERED) (?:job (\w+)|[\w/]+, (\w+))", "\n".join(channel.take()), re.MULTILINE
    )
    return [(job or check, turn) for turn, job, check in said]


def test_a_day_with_an_outage_is_told_once_each(
    place: Place, endpoint: Callable[[], Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emarsys is down from 9 to 13, Cin7's stock comes short from 9:30 to 12, and from 10 to 11 nobody can be told.

    In that hour a held price is corrected, and a record that cannot be used comes and goes.
    """
    channel = endpoint()
    place.environment["ALERT_URLS"] = channel.url
    with place.entered(), DagsterInstance.ephemeral() as instance:
        day = Day(place, instance)
        day.comes(1, "nightly")
        assert len(told := _turns(channel)) == len(set(told)), "what is the matter at this merchant every day"
        day.comes(7, "stock", "orders")
        assert _turns(channel) == []

        day.deed("price", sku="RUG-HTML", price=999)
        day.comes(8, "products", "stock")
        day.faults(_EMARSYS_DOWN)
        day.comes(9, "orders")
        day.faults(_EMARSYS_DOWN, _SHORT_SNAPSHOT)
        day.comes(9.5, "stock")
        told_before = _turns(channel)
        channel.close()
        day.deed("price", sku="RUG-HTML", price=240)
        day.deed("corrupt", entity="product", key="GLOVE-L")
        day.comes(10, "products", "stock")
        day.deed("heal")
        day.comes(10.5, "products", "stock", "orders")
        assert _turns(channel) == []
        channel.open()
        day.comes(11, "stock")
        told_late = _turns(channel)
        day.faults(_EMARSYS_DOWN)
        day.comes(12, "stock")
        day.faults()
        for hour in (13, 17, 23):
            day.comes(hour, "stock", "orders")
        told_after = _turns(channel)

    assert told_before == [
        ("held_changes", "WARNING"), ("orders", "CRITICAL"), ("snapshot_trusted", "CRITICAL"), ("stock", "CRITICAL"),
    ]  # fmt: skip
    assert sorted(told_late) == [
        ("held_changes", "RECOVERED"), ("rejected_records", "RECOVERED"), ("rejected_records", "WARNING"),
    ]  # fmt: skip
    assert told_after == [("snapshot_trusted", "RECOVERED"), ("stock", "RECOVERED"), ("orders", "RECOVERED")]
    assert day.failed_ticks, "that nobody could be told made the tick fail"
