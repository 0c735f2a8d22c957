"""What the doctor sees of Dagster and of the product file."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from dagster._core.scheduler.instigation import TickStatus

from cin7_emarsys.emarsys import feed
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.erased import Erased
from cin7_emarsys.operations import dagster_internals, doctor
from cin7_emarsys.settings import load_settings
from cin7_emarsys_tests.operations.conftest import NEEDED, Place


def test_a_slot_held_by_a_run_that_is_over_is_a_frozen_pool(place: Place) -> None:
    storage = place.instance.event_log_storage
    storage.set_concurrency_slots("pool", 1)
    storage.claim_concurrency_slot("pool", "gone", "step")
    assert list(dagster_internals.frozen_pools(place.instance)) == [("pool", "gone")]
    storage.free_concurrency_slots_for_run("gone")
    assert list(dagster_internals.frozen_pools(place.instance)) == []


def test_ticks_that_fail_are_named_and_the_others_dated(place: Place) -> None:
    place.ticked("state_alerts", TickStatus.FAILURE, "nobody answers ana.lee@example.com\nmore")
    (failing,) = dagster_internals.latest_ticks(place.instance)
    ticked = replace(failing, name="stock_schedule", kind="schedule", failed=False)
    lines = {line.what: line for line in doctor.tick_lines([failing, ticked])}
    assert lines["schedules"].found == "1 tick, the newest 0 minutes ago"
    failed = lines["sensor state_alerts"]
    assert (failed.state, failed.found) == ("bad", "nobody answers (address)")
    assert doctor.tick_lines([])[0].state == "watch"


def test_an_unfinished_erasure_and_a_lost_salt_are_told(tmp_path: Path) -> None:
    assert list(doctor.erasure_lines(tmp_path)) == []
    erased = Erased(tmp_path)
    erased.add(["ana@example.com"])
    (line,) = doctor.erasure_lines(tmp_path)
    assert (line.state, "broken off" in line.found, "say it again" in line.next_step) == ("bad", True, True)
    erased.finish(["ana@example.com"])
    assert list(doctor.erasure_lines(tmp_path)) == []
    (tmp_path / "erased.salt").unlink()
    (line,) = doctor.erasure_lines(tmp_path)
    assert line.state == "bad" and "restore it from a backup" in line.found


@pytest.mark.parametrize(
    ("written", "password", "state", "found"),
    [
        ("item\nA\n", "x", "good", "answers with"),
        (None, "x", "watch", "no product file"),
        ("item\n", "y", "bad", "refuses"),
    ],
)
def test_the_product_file_is_fetched_as_emarsys_does_it(
    in_project: Callable[[dict[str, str]], Path],
    monkeypatch: pytest.MonkeyPatch,
    written: str | None,
    password: str,
    state: str,
    found: str,
) -> None:
    in_project(dict.fromkeys(NEEDED, "x"))
    served = load_settings()
    served.paths.feed.mkdir(parents=True)
    if written:
        (served.paths.feed / "products.csv").write_text(written)
    policy = Path("merchant.toml").absolute()
    monkeypatch.setenv("MERCHANT_TOML", str(policy))
    monkeypatch.setenv("FEED_PASSWORD", password)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/products.csv"
        policy.write_text(f'[availability]\nsellable_locations = ["Main"]\n[catalogue]\nfeed_url = "{address}"\n')
        ledger = Ledger(served.ledger_url)
        server = uvicorn.Server(uvicorn.Config(feed.create_app(served, ledger), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        (line,) = doctor.feed_lines(load_settings())
        server.should_exit = True
        thread.join()
        ledger.close()
    assert line.state == state and found in line.found, line
    (line,) = doctor.feed_lines(load_settings())
    assert line.state == "watch" and "nothing answers" in line.found
