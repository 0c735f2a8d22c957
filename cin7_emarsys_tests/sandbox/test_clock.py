from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys_tests.sandbox.conftest import Vendor


def test_runs_with_real_time_and_can_be_moved() -> None:
    clock = Clock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    clock.advance(86_400)
    assert timedelta(hours=23) < clock.now() - datetime.now(UTC) < timedelta(hours=25)
    clock.advance(-90_000)
    assert clock.now() < datetime.now(UTC)
    assert clock.now().tzinfo is UTC


def test_both_services_send_the_simulated_time(vendor: Vendor) -> None:
    before = parsedate_to_datetime(vendor.raw("me").headers["date"])
    now = datetime.fromisoformat(vendor.post("clock", {"advance": 3600})["now"])
    after = parsedate_to_datetime(vendor.raw("me").headers["date"])
    assert timedelta(seconds=3598) < after - before < timedelta(seconds=3610)
    assert abs(now - after) < timedelta(seconds=5)
    other = vendor.http.get(vendor.env["EMARSYS_BASE_URL"])
    assert abs(parsedate_to_datetime(other.headers["date"]) - after) < timedelta(seconds=5)
    vendor.post("clock", {"advance": -3600})


def test_a_wrong_step_is_refused(vendor: Vendor) -> None:
    assert "advance" in vendor.post("clock", {"advance": "soon"}, status=400)["error"]
    assert "advance" in vendor.post("clock", {"forward": 3}, status=400)["error"]
