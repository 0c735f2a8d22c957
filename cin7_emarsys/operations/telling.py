"""What each channel was told and what waits for it: alerts are states, so each turn is told once and each recovery once.

What belongs here: comparing what is with what a channel was told, who takes what, quiet hours, and keeping what could not
be posted. What does not: which states are watched (``sensors.py``), the words and the channels (``alerts.py``).

A turn is written down before it is posted, in a file of its own for each sensor (a cursor of Dagster does not move when the
tick fails), so that nothing is lost while a channel is dead, not even what turned bad and recovered meanwhile. A message
that was taken just before a crash may come twice.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from cin7_emarsys.merchant import Alerts
from cin7_emarsys.operations import alerts
from cin7_emarsys.operations.alerts import Alert, Channel, ChannelFailed
from cin7_emarsys.settings import LocalSettings

State = Literal["good", "WARNING", "CRITICAL"]
_TOGETHER = 15  # a message of forty alerts is not read


@dataclass(frozen=True)
class Watched:
    """One thing with a state; None while nothing is known: it stays what it was."""

    key: str
    state: State | None
    at: datetime
    what: str
    who: str
    next_step: str
    path: str
    count: int | None = None
    means: str = ""
    examples: tuple[str, ...] = ()


class Undelivered(Exception):
    """An alert reached no further channel; it waits, and is sent again at the next tick."""


def tell(
    settings: LocalSettings, sensor: str, watched: Iterable[Watched], log: logging.Logger, now: datetime | None = None
) -> int:
    """Posts to each channel what has changed for it, and what waits. Returns how many alerts were taken.

    Raises `Undelivered` when a channel is dead and no other took anything.
    """
    moment = now or datetime.now(UTC)
    policy = settings.merchant.alerts
    states = {state.key: state for state in watched}
    file = settings.paths.state / "alerts" / f"{sensor}.json"
    before: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    channels = alerts.channels(settings.alert_urls, log)
    after = {channel.name: _turned(states, before.get(channel.name, {}), policy, channel.name) for channel in channels}
    _keep(file, after)
    failures: list[str] = []
    posted = 0
    for channel in channels:
        try:
            posted += _post(channel, after, file, policy, moment)
        except ChannelFailed as failure:
            failures.append(str(failure))
    if failures and not posted:
        raise Undelivered("; ".join(failures))
    for problem in failures:
        log.error(problem)
    return posted


def _turned(states: Mapping[str, Watched], before: Mapping[str, Any], policy: Alerts, channel: str) -> dict[str, Any]:
    """What a channel is to know now: ``told`` (key → level and since) and ``waiting`` (alerts, in their order)."""
    told = {key: dict(known) for key, known in before.get("told", {}).items() if key in states}
    waiting = list(before.get("waiting", []))
    for key, state in states.items():
        known = told.get(key)
        if state.state in ("WARNING", "CRITICAL") and policy.takes(channel, state.state, state.who):
            if known is None:
                told[key] = {"since": state.at.isoformat(), "level": state.state}
                waiting.append(_alert(state, state.state, state.at, policy))
            elif known["level"] == "WARNING" and state.state == "CRITICAL":
                known["level"] = "CRITICAL"
                waiting.append(_alert(state, "CRITICAL", datetime.fromisoformat(known["since"]), policy))
        elif state.state == "good" and known is not None:
            del told[key]
            since = datetime.fromisoformat(known["since"])
            waiting.append(_alert(state, known["level"], since, policy, recovered=True))
    return {"told": told, "waiting": waiting}


def _alert(state: Watched, level: str, since: datetime, policy: Alerts, *, recovered: bool = False) -> dict[str, Any]:
    alert = Alert(
        what=state.what,
        who=state.who,
        since=since,
        next_step=state.next_step,
        link=f"{policy.ui_url.rstrip('/')}/{state.path}",
        level=level,
        count=state.count,
        means=state.means,
        examples=state.examples,
        recovered=recovered,
        over_at=state.at if recovered else None,
        key=state.key,
    )
    return json.loads(json.dumps(asdict(alert), default=str))  # type: ignore[no-any-return]


def _post(channel: Channel, after: dict[str, Any], file: Path, policy: Alerts, moment: datetime) -> int:
    waiting = after[channel.name]["waiting"]
    hushed = policy.quiet(channel.name, moment.astimezone(ZoneInfo(policy.time_zone)).time())
    # what waited of a thing goes before what is critical of it, or the last word in the morning would be an old one
    critical = {alert["key"]: place for place, alert in enumerate(waiting) if alert["level"] == "CRITICAL"}
    due = [alert for place, alert in enumerate(waiting) if not hushed or place <= critical.get(alert["key"], -1)]
    for start in range(0, len(due), _TOGETHER):
        together = due[start : start + _TOGETHER]
        alerts.post(channel, [Alert.read(alert) for alert in together])
        for alert in together:
            waiting.remove(alert)
        _keep(file, after)
    return len(due)


def _keep(file: Path, content: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(json.dumps(content))
    beside.replace(file)
