"""Telling people: the words of an alert, and the channels it goes to.

What belongs here: one text for all channels, sending it, and saying when a channel does not take it. What does not: when
there is something to tell (``sensors.py``).

No channel configured (``ALERT_URLS``) means the console: the log, and standard output. No text carries an address or a
name of a customer, whatever it was made from.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

from pydantic import SecretStr

from cin7_emarsys.settings import CHANNEL
from cin7_emarsys.warehouse.factory import EMAIL


class ChannelFailed(Exception):
    """A channel did not take the message; the text names the channel, never its address."""


@dataclass(frozen=True)
class Alert:
    """One thing that turned to a level, or good again (``recovered``): who answers for it, what, what that means for the
    business, since when, how many, examples of keys, what to do, where to look. Times are aware, in UTC."""

    what: str
    who: str
    since: datetime
    next_step: str
    link: str
    level: str = "CRITICAL"
    count: int | None = None
    means: str = ""
    examples: Sequence[str] = ()
    recovered: bool = False
    over_at: datetime | None = None
    key: str = ""

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """An alert as it was kept as JSON."""
        times = {name: kept[name] and datetime.fromisoformat(kept[name]) for name in ("since", "over_at")}
        return cls(**{**kept, **times})

    def text(self) -> str:
        """Lines for people; times in UTC."""
        if self.recovered:
            return _plain(
                f"RECOVERED {self.what}, after {_span(self.over_at or self.since, self.since)}\n  {self.link}"
            )
        how_many = "" if self.count is None else f" ({self.count:,} row{'' if self.count == 1 else 's'})"
        lines = [
            f"{self.level} {self.what}{how_many}",
            f"  {self.means}" if self.means else "",
            f"  for {self.who}, since {self.since:%Y-%m-%d %H:%M} UTC",
            f"  e.g. {', '.join(self.examples)}" if self.examples else "",
            f"  what to do: {self.next_step}" if self.next_step else "",
            f"  {self.link}",
        ]
        return _plain("\n".join(line for line in lines if line))


class Channel(Protocol):
    """Where alerts go."""

    @property
    def name(self) -> str:
        """Tells channels apart without giving their address away."""

    def send(self, title: str, body: str) -> None:
        """Raises `ChannelFailed`."""


class Console:
    """The log and standard error."""

    name = "console"

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def send(self, title: str, body: str) -> None:
        """Cannot fail."""
        self._log.warning(f"{title}\n{body}")
        sys.stderr.write(f"{title}\n{body}\n")


class Service:
    """One address of `ALERT_URLS`, perhaps with a name before it (`night=slack://…`), by which the policy says what it
    takes: Slack, Teams, mail, a webhook or whatever else apprise knows."""

    def __init__(self, url: SecretStr) -> None:
        secret = url.get_secret_value()
        named = CHANNEL.match(secret)
        self._address = SecretStr(secret[named.end() :] if named else secret)
        scheme = secret.partition("://")[0]
        self.name = named[1] if named else f"{scheme}-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"

    def send(self, title: str, body: str) -> None:
        """Raises `ChannelFailed` when the address is not understood or the service does not take the message."""
        from apprise import Apprise  # slow to import, and only needed when there is something to say

        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs addresses, and they hold secrets
        service = Apprise()
        if not service.add(self._address.get_secret_value()):
            raise ChannelFailed(f"alert channel {self.name}: its address in ALERT_URLS is not understood")
        if not service.notify(title=title, body=body):
            raise ChannelFailed(
                f"alert channel {self.name} did not take the message; check that service and its entry in ALERT_URLS"
            )


def channels(urls: Sequence[SecretStr], log: logging.Logger) -> list[Channel]:
    """The channels of `ALERT_URLS`, in their order; without any, the console."""
    return [Service(url) for url in urls] if urls else [Console(log)]


def post(channel: Channel, alerts: Sequence[Alert]) -> None:
    """One message for all of them, what is worst by now first, and of each thing in its order. Raises `ChannelFailed`."""
    good = sum(alert.recovered for alert in alerts)
    bad = len(alerts) - good
    parts = [f"{bad} went wrong" if bad else "", f"{good} recovered" if good else ""]
    last = {alert.key: alert for alert in alerts}
    ordered = sorted(alerts, key=lambda alert: (last[alert.key].recovered, last[alert.key].level))
    title = f"Cin7 to Emarsys: {', '.join(part for part in parts if part)}"
    channel.send(title, "\n\n".join(alert.text() for alert in ordered))


def trial(urls: Sequence[SecretStr], log: logging.Logger) -> dict[str, str | None]:
    """Sends a trial message to every channel. Channel name → why it failed, or None."""
    outcome: dict[str, str | None] = {}
    for channel in channels(urls, log):
        try:
            channel.send("Cin7 to Emarsys: trial alert", "Nothing is wrong. This shows that alerts arrive here.")
            outcome[channel.name] = None
        except ChannelFailed as failure:
            outcome[channel.name] = str(failure)
    return outcome


def _plain(text: str) -> str:
    return EMAIL.sub("(address)", text)


def _span(now: datetime, since: datetime) -> str:
    minutes = max(int((now - since).total_seconds() // 60), 0)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
