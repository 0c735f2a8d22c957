"""Alerts are states: once when it turns bad, once when it recovers, and nothing is lost when a channel is dead."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.scheduler.instigation import TickStatus

from cin7_emarsys.operations.telling import Undelivered
from cin7_emarsys_tests.operations.conftest import Endpoint, Place

# apprise loads its mail plug-in, which imports imghdr
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
Endpoints = Callable[[], Endpoint]


@pytest.fixture
def told(endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    made = endpoint()
    monkeypatch.setenv("ALERT_URLS", made.url)
    return made


def test_a_check_is_told_once_and_once_more_when_it_recovers(place: Place, told: Endpoint) -> None:
    place.run(rows=3)
    place.tick("state_alerts")
    (text,) = told.take()
    assert "CRITICAL mart/ats, adds_up" in text
    assert "(3 rows)" in text
    assert "for operations, since 20" in text
    assert "what to do: Look at these SKUs." in text
    assert "http://127.0.0.1:3000/assets/mart/ats?view=checks" in text
    assert "ana.lee" not in text

    place.tick("state_alerts")
    place.run(rows=4)
    place.tick("state_alerts")
    assert told.take() == []

    place.run(rows=0)
    place.tick("state_alerts")
    (text,) = told.take()
    assert "1 recovered" in text
    assert "RECOVERED mart/ats, adds_up, after 0 min" in text
    place.tick("state_alerts")
    assert told.take() == []


def test_a_check_that_is_just_being_asked_keeps_its_state(place: Place, told: Endpoint) -> None:
    place.run(rows=3)
    place.tick("state_alerts")
    assert len(told.take()) == 1
    place.run(rows=3, in_the_run=lambda: place.tick("state_alerts"))  # PLANNED, neither bad nor good
    place.tick("state_alerts")
    assert told.take() == []


def test_a_first_check_under_way_is_not_told(place: Place, told: Endpoint) -> None:
    place.run(rows=0, in_the_run=lambda: place.tick("state_alerts"))
    assert told.take() == []


def test_freshness_is_told_like_a_check(place: Place, told: Endpoint) -> None:
    place.run()
    for state, messages in (
        (FreshnessState.PASS, 0),
        (FreshnessState.FAIL, 1),
        (FreshnessState.UNKNOWN, 0),
        (FreshnessState.FAIL, 0),
        (FreshnessState.PASS, 1),
    ):
        place.freshness(state)
        place.tick("state_alerts")
        assert len(told.take()) == messages, state


def test_a_job_is_told_when_its_first_attempt_fails(place: Place, told: Endpoint) -> None:
    place.run(raises=True)
    failed = place.instance.get_runs(limit=1)[0]
    place.tick("run_failures")
    (text,) = told.take()
    assert "CRITICAL job stock failed" in text
    assert f"runs/{failed.run_id}" in text
    assert "ana.lee" not in text
    place.run(raises=True, tags={"dagster/parent_run_id": failed.run_id, "dagster/root_run_id": failed.run_id})
    place.run(raises=True)
    place.tick("run_failures")
    assert told.take() == []
    place.run()
    place.tick("run_failures")
    assert "RECOVERED job stock" in told.take()[0]


def test_people_behind_a_role_are_told_of_its_jobs_and_data(
    place: Place, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cin7_emarsys.settings import paths
    from cin7_emarsys_tests.conftest import PROJECT

    sam = endpoint()
    monkeypatch.setenv("ALERT_URLS", f"sam={sam.url}")
    policy = (PROJECT / "merchant.toml").read_text().replace("[owners]\n", '[owners]\noperations = "Sam (shop)"\n')
    rule = '[[alerts.channels]]\nname = "sam"\nowners = ["Sam (shop)"]'
    toml = paths().state.parent / "policy.toml"
    toml.write_text(policy.replace('time_zone = "UTC"', rule))
    monkeypatch.setenv("MERCHANT_TOML", str(toml))
    place.run(raises=True)
    place.freshness(FreshnessState.FAIL)
    place.ticked("heartbeat", TickStatus.FAILURE, "nobody answers")
    for each in ("run_failures", "state_alerts", "tick_watch"):
        place.tick(each)
        (text,) = sam.take()
        assert "for Sam (shop), since" in text, each


def test_a_job_whose_retry_failed_before_anybody_looked_is_told_once(place: Place, told: Endpoint) -> None:
    place.run(raises=True)
    place.run(raises=True, tags={"dagster/parent_run_id": place.instance.get_runs(limit=1)[0].run_id})
    place.tick("run_failures")
    place.tick("run_failures")
    assert len(told.take()) == 1


def test_a_dead_channel_fails_the_tick_and_loses_nothing(place: Place, told: Endpoint) -> None:
    told.close()
    place.run(rows=3)
    for _ in range(2):
        with pytest.raises(Undelivered, match="did not take the message") as raised:
            place.tick("state_alerts")
        assert str(told.port) not in str(raised.value), "an address of a channel may hold a secret"
    told.open()
    place.tick("state_alerts")
    place.tick("state_alerts")
    assert len(told.take()) == 1


def test_a_dead_channel_neither_silences_nor_repeats_another(
    place: Place, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = endpoint(), endpoint()
    monkeypatch.setenv("ALERT_URLS", f"{dead.url}, {alive.url}")
    dead.close()
    place.run(rows=3)
    place.tick("state_alerts")
    assert len(alive.take()) == 1
    with pytest.raises(Undelivered, match="did not take the message"):
        place.tick("state_alerts")
    assert alive.take() == []
    dead.open()
    place.tick("state_alerts")
    assert len(dead.take()) == 1
    assert alive.take() == []


def test_a_sensor_that_fails_is_told(place: Place, told: Endpoint) -> None:
    place.ticked("state_alerts", TickStatus.FAILURE, "ChannelFailed: nobody answers ana.lee@example.com")
    place.ticked("of_another_project", TickStatus.FAILURE, "not ours")
    place.tick("tick_watch")
    (text,) = told.take()
    assert "sensor state_alerts fails: ChannelFailed: nobody answers (address)" in text
    assert "of_another_project" not in text
    place.ticked("state_alerts", TickStatus.STARTED)
    place.tick("tick_watch")
    assert told.take() == []
    place.ticked("state_alerts", TickStatus.SKIPPED)
    place.tick("tick_watch")
    assert "RECOVERED sensor state_alerts" in told.take()[0]


def test_the_heart_is_mute_while_alerts_cannot_be_told(place: Place, told: Endpoint) -> None:
    place.ticked("run_failures", TickStatus.FAILURE, "nobody answers")
    assert "run_failures cannot tell anybody" in place.tick("heartbeat")
    place.ticked("run_failures", TickStatus.SKIPPED)
    assert place.tick("heartbeat") == "beat"


def test_without_channels_the_console_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run(rows=1)
    place.tick("state_alerts")
    printed = capsys.readouterr().err
    assert "CRITICAL mart/ats, adds_up" in printed
    assert "(1 row)" in printed


def test_an_address_that_is_none_fails_the_tick(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URLS", "nonsense://token")
    place.run(rows=1)
    with pytest.raises(Undelivered, match="is not understood"):
        place.tick("state_alerts")


def test_the_heartbeat_is_written_and_the_watcher_called(
    place: Place, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cin7_emarsys.settings import paths
    from cin7_emarsys_tests.conftest import PROJECT

    watcher = endpoint()
    policy = (PROJECT / "merchant.toml").read_text()
    policy = policy.replace("[alerts]", f'[alerts]\nheartbeat_url = "http://127.0.0.1:{watcher.port}/ping"')
    toml = paths().state.parent / "policy.toml"
    toml.write_text(policy)
    monkeypatch.setenv("MERCHANT_TOML", str(toml))
    assert "was called" in place.tick("heartbeat")
    assert watcher.calls == ["/ping"]
    assert json.loads(paths().heartbeat.read_text())["failing"] == []
    watcher.close()
    with pytest.raises(OSError, match="refused"):
        place.tick("heartbeat")
    watcher.open()


def test_without_settings_the_heart_still_beats(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from cin7_emarsys.settings import paths

    monkeypatch.setenv("MERCHANT_TOML", "nowhere.toml")
    assert "merchant.toml cannot be read" in place.tick("heartbeat")
    assert paths().heartbeat.exists()


def test_people_are_told_that_a_job_fails_for_want_of_credentials(
    place: Place, told: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CIN7_ACCOUNT_ID")
    place.run(raises=True)
    place.tick("run_failures")
    assert "CRITICAL job stock failed" in told.take()[0]


@pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
def test_the_sensors_know_the_whole_graph(place: Place, told: Endpoint) -> None:
    from cin7_emarsys.definitions import defs

    place.repository = defs.get_repository_def()
    place.run(rows=3)  # of a check that the real graph does not have
    place.freshness(FreshnessState.FAIL)
    for each in ("state_alerts", "run_failures", "tick_watch", "heartbeat"):
        place.tick(each)
    (text,) = told.take()
    assert "CRITICAL mart/ats is not up to date" in text
    assert "for operations" in text
    assert "adds_up" not in text
