"""A day of alerts: each turn told once and each recovery once, to those whom it concerns, whatever the channels do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cin7_emarsys.merchant import Merchant, load_merchant
from cin7_emarsys.operations.alerts import trial
from cin7_emarsys.operations.doctor import alert_lines
from cin7_emarsys.operations.telling import State, Undelivered, Watched, tell
from cin7_emarsys.settings import load_settings
from cin7_emarsys_tests.conftest import PROJECT, law
from cin7_emarsys_tests.operations.conftest import NEEDED, Endpoint

# apprise loads its mail plug-in, which imports imghdr
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
LOG = logging.getLogger("test")
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
Turn = tuple[str, str]
"""What turned, and to what: WARNING, CRITICAL or RECOVERED."""


class Desk:
    """One place whose alerts go to the channels given, over a day of ticks."""

    def __init__(self, state: Path, environment: Callable[[str, str], None], *channels: str) -> None:
        self._state, self._environment = state, environment
        self.policy("")
        environment("ALERT_URLS", ", ".join(channels))

    def policy(self, alerts: str) -> None:
        self._state.mkdir(parents=True, exist_ok=True)
        text = (PROJECT / "merchant.toml").read_text().replace('time_zone = "UTC"', alerts)
        file = self._state / "merchant.toml"
        file.write_text(text)
        self._environment("MERCHANT_TOML", str(file))

    def tick(self, moment: datetime, states: Mapping[str, State | None], owner: str = "operations") -> None:
        """One tick of a sensor; that a channel is dead is for the tick watch to tell."""
        watched = [
            Watched(key, state, moment, f"the {key}", owner, "Look at it.", f"assets/{key}", 3, "It hurts.", ("A", "B"))
            for key, state in states.items()
        ]
        try:
            tell(load_settings(), "state_alerts", watched, LOG, moment)
        except Undelivered:
            self.undelivered = True

    undelivered = False


def turns(endpoint: Endpoint) -> list[Turn]:
    """What a channel was told, in order."""
    text = "\n".join(endpoint.take())
    return [(what, turn) for turn, what in re.findall(r"^(WARNING|CRITICAL|RECOVERED) the (\w+)", text, re.MULTILINE)]


@pytest.fixture
def state(in_project: Callable[[dict[str, str]], Path]) -> Path:
    return in_project(dict.fromkeys(NEEDED, "x"))


Endpoints = Callable[[], Endpoint]


def test_a_day_with_an_outage_in_the_middle(state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emarsys is down from 9:00 to 13:00, a price is missing in the morning, the channel is dead from 10:00 to 11:00."""
    channel = endpoint()
    desk = Desk(state, monkeypatch.setenv, channel.url)

    def now(hour: float) -> dict[str, State | None]:
        down = 9 <= hour < 13
        return {
            "exports": "CRITICAL" if down else "good",
            "queue": "CRITICAL" if 11.5 <= hour < 14 else "WARNING" if 9.5 <= hour < 14 else "good",
            "prices": "WARNING" if 8 <= hour < 10.5 else "good",  # mended while nobody could be told
            "stock": "WARNING" if 10.25 <= hour < 10.75 else "good",  # came and went while nobody could be told
            "asking": None if int(hour * 6) % 2 else "WARNING" if 7 <= hour < 20 else "good",
        }

    ticks = [number / 6 for number in range(24 * 6)]
    for hour in ticks:
        if hour == 10:
            channel.close()
        if hour == 11:
            channel.open()
        desk.tick(MIDNIGHT + timedelta(hours=hour), now(hour))
    told = turns(channel)
    assert desk.undelivered, "the dead channel made the tick fail"
    assert sorted(told) == sorted(
        [
            ("exports", "CRITICAL"), ("exports", "RECOVERED"),
            ("queue", "WARNING"), ("queue", "CRITICAL"), ("queue", "RECOVERED"),
            ("prices", "WARNING"), ("prices", "RECOVERED"),
            ("stock", "WARNING"), ("stock", "RECOVERED"),
            ("asking", "WARNING"), ("asking", "RECOVERED"),
        ]
    )  # fmt: skip
    for what in ("exports", "queue", "prices", "stock"):
        assert [turn for name, turn in told if name == what][-1] == "RECOVERED"


STATES = st.sampled_from(["good", "WARNING", "CRITICAL", None])


@law(8)
@given(st.lists(st.tuples(STATES, STATES, st.booleans()), min_size=1, max_size=12))
def test_whatever_happens_each_turn_is_told_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    in_project: Callable[[dict[str, str]], Path],
    endpoint: Endpoints,
    steps: list[tuple[State | None, State | None, bool]],
) -> None:
    """Two states and a channel that is dead or alive at each tick, against a plain reckoning of what had to be told."""
    in_project(dict.fromkeys(NEEDED, "x"))
    channel = endpoint()
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("desk")
        patch.setenv("WAREHOUSE", str(folder / "warehouse.duckdb"))
        desk = Desk(folder, patch.setenv, channel.url)
        expected: list[Turn] = []
        held: dict[str, State] = {"a": "good", "b": "good"}
        alive = True
        for number, (one, other, lives) in enumerate([*steps, ("good", "good", True)]):
            for key, state in (("a", one), ("b", other)):
                if state == "good" and held[key] != "good":
                    expected.append((key, "RECOVERED"))
                    held[key] = "good"
                elif state == "CRITICAL" and held[key] != "CRITICAL":
                    expected.append((key, "CRITICAL"))
                    held[key] = "CRITICAL"
                elif state == "WARNING" and held[key] == "good":
                    expected.append((key, "WARNING"))
                    held[key] = "WARNING"
            if lives != alive:
                channel.open() if lives else channel.close()
                alive = lives
            desk.tick(MIDNIGHT + timedelta(minutes=number), {"a": one, "b": other})
        told = turns(channel)
        for key in "ab":  # a message has the worst first, so order is kept for each state
            assert [t for t in told if t[0] == key] == [t for t in expected if t[0] == key]
        assert len(told) == len(expected)


def test_channels_take_what_concerns_them(state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    night, shop, everyone = endpoint(), endpoint(), endpoint()
    desk = Desk(state, monkeypatch.setenv, f"night={night.url}", f"shop={shop.url}", everyone.url)
    desk.policy(
        '[[alerts.channels]]\nname = "night"\nseverity = "CRITICAL"\n'
        '[[alerts.channels]]\nname = "shop"\nowners = ["marketing"]'
    )
    desk.tick(MIDNIGHT, {"prices": "WARNING"}, owner="marketing")
    desk.tick(MIDNIGHT, {"prices": "WARNING", "stock": "CRITICAL"})
    assert (turns(night), turns(shop)) == ([("stock", "CRITICAL")], [("prices", "WARNING")])
    assert turns(everyone) == [("prices", "WARNING"), ("stock", "CRITICAL")]
    desk.tick(MIDNIGHT, {"prices": "CRITICAL", "stock": "good"}, owner="marketing")
    assert turns(night) == [("prices", "CRITICAL"), ("stock", "RECOVERED")]


def test_at_night_a_warning_waits_and_what_is_critical_does_not(
    state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = endpoint()
    desk = Desk(state, monkeypatch.setenv, channel.url)
    desk.policy('time_zone = "Europe/Berlin"\nquiet_hours = "22:00-07:00"')
    evening = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)  # 22:30 in Berlin
    desk.tick(evening, {"prices": "WARNING", "stock": "CRITICAL"})
    assert turns(channel) == [("stock", "CRITICAL")]
    desk.tick(evening + timedelta(hours=1), {"prices": "good", "stock": "good", "queue": "WARNING"})
    assert turns(channel) == [("stock", "RECOVERED")]
    desk.tick(evening + timedelta(hours=9), {"prices": "good", "stock": "good", "queue": "WARNING"})
    assert turns(channel) == [("queue", "WARNING"), ("prices", "WARNING"), ("prices", "RECOVERED")]


def test_a_warning_of_the_night_does_not_come_after_its_own_recovery(
    state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = endpoint()
    desk = Desk(state, monkeypatch.setenv, channel.url)
    desk.policy('quiet_hours = "22:00-07:00"')
    evening = datetime(2026, 11, 24, 23, tzinfo=UTC)
    desk.tick(evening, {"queue": "WARNING", "prices": "WARNING"})
    assert turns(channel) == []
    desk.tick(evening + timedelta(hours=1), {"queue": "CRITICAL", "prices": "WARNING"})
    assert turns(channel) == [("queue", "WARNING"), ("queue", "CRITICAL")]
    desk.tick(evening + timedelta(hours=2), {"queue": "good", "prices": "WARNING"})
    assert turns(channel) == [("queue", "RECOVERED")]
    desk.tick(evening + timedelta(hours=9), {"queue": "good", "prices": "WARNING"})
    assert turns(channel) == [("prices", "WARNING")]


def test_what_recovered_and_is_bad_again_ends_as_bad(
    state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it in one message, since the channel was dead meanwhile."""
    channel = endpoint()
    desk = Desk(state, monkeypatch.setenv, channel.url)
    desk.tick(MIDNIGHT, {"stock": "CRITICAL", "queue": "CRITICAL"})
    turns(channel)
    channel.close()
    desk.tick(MIDNIGHT + timedelta(hours=1), {"stock": "good", "queue": "CRITICAL"})
    desk.tick(MIDNIGHT + timedelta(hours=2), {"stock": "CRITICAL", "queue": "good"})
    channel.open()
    desk.tick(MIDNIGHT + timedelta(hours=3), {"stock": "CRITICAL", "queue": "good"})
    assert turns(channel) == [("stock", "RECOVERED"), ("stock", "CRITICAL"), ("queue", "RECOVERED")]


def test_many_at_once_come_in_messages_that_can_be_read(
    state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = endpoint()
    desk = Desk(state, monkeypatch.setenv, channel.url)
    desk.tick(MIDNIGHT, {f"n{number}": "WARNING" for number in range(40)})
    assert len(channel.messages) == 3
    assert len(turns(channel)) == 40


def test_an_alert_says_what_it_means_and_shows_examples(
    state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = endpoint()
    Desk(state, monkeypatch.setenv, channel.url).tick(MIDNIGHT, {"prices": "WARNING"})
    (text,) = channel.take()
    for said in ("WARNING the prices (3 rows)", "It hurts.", "for operations, since 2026-11-24 00:00 UTC", "e.g. A, B",
                 "what to do: Look at it.", "http://127.0.0.1:3000/assets/prices"):  # fmt: skip
        assert said in text


def test_a_trial_names_the_channel_that_is_dead(
    state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, dead = endpoint(), endpoint()
    Desk(state, monkeypatch.setenv, f"ops={alive.url}", f"night={dead.url}")
    dead.close()
    outcome = trial(load_settings().alert_urls, LOG)
    dead.open()
    assert outcome["ops"] is None
    assert "night did not take the message" in (outcome["night"] or "")
    assert "trial" in alive.take()[0]


def test_a_policy_that_cannot_be_meant_is_refused(state: Path) -> None:
    good = load_merchant(PROJECT / "merchant.toml").model_dump(by_alias=True)
    for alerts, word in (({"time_zone": "Nowhere/At All"}, "no time zone"), ({"quiet_hours": "25:00-07:00"}, "hour")):
        with pytest.raises(ValueError, match=word):
            Merchant.model_validate({**good, "alerts": alerts})


def test_doctor_says_whether_anybody_is_told(state: Path, endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(state, monkeypatch.setenv)
    assert [line.state for line in alert_lines(load_settings())] == ["watch"]
    monkeypatch.setenv("ALERT_URLS", f"ops={endpoint().url}")
    desk.policy('[[alerts.channels]]\nname = "night"\n[exceptions.no_such_class]\ndue_hours = 1')
    said = [(line.state, line.found) for line in alert_lines(load_settings())]
    assert said == [
        ("bad", "merchant.toml names no class: no_such_class"),
        ("good", "they go to ops"),
        ("bad", "a rule for night, and no address in ALERT_URLS has that name"),
    ]
