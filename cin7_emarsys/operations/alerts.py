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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pydantic import SecretStr

from cin7_emarsys.warehouse.factory import EMAIL

_SHOWN = 15  # a text message of forty lines is not read


class ChannelFailed(Exception):
    """A channel did not take the message; the text names the channel, never its address."""


@dataclass(frozen=True)
class Alert:
    """One thing that turned bad, or good again (``recovered``): who answers for it, what, since when, how many, what
    to do, where to look."""

    what: str
    who: str
    since: datetime
    next_step: str
    link: str
    count: int | None = None
    urgent: bool = True
    recovered: bool = False

    def text(self, now: datetime) -> str:
        """Lines for people; times in UTC."""
        if self.recovered:
            return _plain(f"RECOVERED {self.what}, after {_span(now, self.since)}\n  {self.link}")
        how_many = "" if self.count is None else f" ({self.count:,} row{'' if self.count == 1 else 's'})"
        lines = [
            f"{'FAILED' if self.urgent else 'WATCH'} {self.what}{how_many}",
            f"  for {self.who}, since {self.since:%Y-%m-%d %H:%M} UTC",
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
    """The log and standard output."""

    name = "console"

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def send(self, title: str, body: str) -> None:
        """Cannot fail."""
        self._log.warning(f"{title}\n{body}")
        sys.stdout.write(f"{title}\n{body}\n")
        sys.stdout.flush()


class Service:
    """One address of `ALERT_URLS`: Slack, Teams, mail, a webhook or whatever else apprise knows."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        secret = url.get_secret_value()
        scheme = secret.partition("://")[0]
        self.name = f"{scheme}-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"

    def send(self, title: str, body: str) -> None:
        """Raises `ChannelFailed` when the address is not understood or the service does not take the message."""
        from apprise import Apprise  # slow to import, and only needed when there is something to say

        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs addresses, and they hold secrets
        service = Apprise()
        if not service.add(self._url.get_secret_value()):
            raise ChannelFailed(f"alert channel {self.name}: its address in ALERT_URLS is not understood")
        if not service.notify(title=title, body=body):
            raise ChannelFailed(
                f"alert channel {self.name} did not take the message; check that service and its entry in ALERT_URLS"
            )


def channels(urls: Sequence[SecretStr], log: logging.Logger) -> list[Channel]:
    """The channels of `ALERT_URLS`, in their order; without any, the console."""
    return [Service(url) for url in urls] if urls else [Console(log)]


def post(channel: Channel, alerts: Sequence[Alert], now: datetime | None = None) -> None:
    """One message for all of them. Raises `ChannelFailed`."""
    moment = now or datetime.now(UTC)
    bad = [alert for alert in alerts if not alert.recovered]
    good = [alert for alert in alerts if alert.recovered]
    parts = [f"{len(bad)} went wrong" if bad else "", f"{len(good)} recovered" if good else ""]
    ordered = [*sorted(bad, key=lambda alert: not alert.urgent), *good]
    lines = [alert.text(moment) for alert in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        lines.append(f"and {len(ordered) - _SHOWN} more: see the checks in Dagster")
    channel.send(f"Cin7 to Emarsys: {', '.join(part for part in parts if part)}", "\n\n".join(lines))


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
