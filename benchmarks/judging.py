"""The verdicts on a month of mails, from what the sandbox's judge told. Knows no policy and no figure of ours.

Times are seconds since the month began. A *course* is what was true of one SKU over time: (time, units) at each change, the
first at or before 0; it holds until the next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

HOUR = 3600.0
LASTING = 2 * HOUR
"""A restock counts when it lasts at least so long without a break."""

Course = Sequence[tuple[float, int]]
Shown = Sequence[tuple[float, bool]]


@dataclass(frozen=True)
class Mail:
    """`stock_at`: the moment of the snapshot behind the version that Emarsys had collected when it sent the mail."""

    kind: str
    sku: str
    at: float
    stock_at: float


@dataclass(frozen=True)
class Span:
    """A SKU could be sold from `start` to `end` without a break."""

    sku: str
    start: float
    end: float


@dataclass(frozen=True)
class Verdict:
    """Counts are of mails, but `restocks` and `never`, which are of restocks. `hidden_share` is of SKU-hours."""

    mails: int
    wrong: int
    overtaken: int
    needless: int
    restocks: int
    never: int
    hidden_share: float
    median_delay_s: float | None
    wrong_mails: tuple[Mail, ...]
    never_announced: tuple[Span, ...]


def value_at(course: Sequence[tuple[float, int]] | Shown, at: float) -> int:
    """What held at that moment; 0 before the first entry."""
    found = bisect_right(course, at, key=lambda step: step[0])
    return int(course[found - 1][1]) if found else 0


def spans(sku: str, course: Course, end: float) -> list[Span]:
    """When it could be sold, from the beginning on, break by break."""
    found: list[Span] = []
    since: float | None = None
    for at, units in course:
        if units >= 1 and since is None:
            since = at
        elif units < 1 and since is not None:
            found.append(Span(sku, since, at))
            since = None
    if since is not None:
        found.append(Span(sku, since, end))
    return found


def restocks(sku: str, course: Course, end: float) -> list[Span]:
    """Spans that follow a moment with nothing to sell and last long enough."""
    return [
        span
        for span in spans(sku, course, end)
        if span.end - span.start >= LASTING and any(at < span.start and units < 1 for at, units in course)
    ]


def hidden(course: Course, shown: Shown, end: float) -> tuple[float, float]:
    """(seconds sellable and shown as unavailable, seconds sellable), from 0 to `end`."""
    lost = able = 0.0
    moments = sorted({0.0, end, *(at for at, _ in course), *(at for at, _ in shown)})
    for start, stop in pairwise(moments):
        if start >= 0 and stop <= end and value_at(course, start) >= 1:
            able += stop - start
            lost += 0 if value_at(shown, start) else stop - start
    return lost, able


def _needless(mail: Mail, course: Course, shown: Shown) -> bool:
    """A back-in-stock mail about something that had not run out before or while Emarsys showed it as gone."""
    gone = max((at for at, on in shown if at < mail.at and not on), default=0.0) - HOUR
    return min([value_at(course, gone), *(units for at, units in course if gone < at <= mail.stock_at)]) >= 1


def judge(courses: Mapping[str, Course], shown: Mapping[str, Shown], mails: Iterable[Mail], end: float) -> Verdict:
    """`shown`: per SKU when Emarsys had collected that it is available, or not."""
    sent = sorted(mails, key=lambda mail: mail.at)
    wrong = [mail for mail in sent if value_at(courses.get(mail.sku, ()), mail.stock_at) < 1]
    overtaken = sum(
        value_at(courses.get(mail.sku, ()), mail.stock_at) >= 1 > value_at(courses.get(mail.sku, ()), mail.at)
        for mail in sent
    )
    back = [mail for mail in sent if mail.kind == "back_in_stock"]
    needless = sum(
        mail not in wrong and _needless(mail, courses.get(mail.sku, ()), shown.get(mail.sku, ())) for mail in back
    )
    every = [span for sku, course in courses.items() for span in restocks(sku, course, end)]
    delays: list[float] = []
    never: list[Span] = []
    for span in every:
        told = [mail.at for mail in back if mail.sku == span.sku and span.start <= mail.stock_at < span.end]
        if told:
            delays.append(min(told) - span.start)
        else:
            never.append(span)
    losses = [hidden(course, shown.get(sku, ()), end) for sku, course in courses.items()]
    able = sum(seconds for _, seconds in losses)
    return Verdict(
        len(sent), len(wrong), overtaken, needless, len(every), len(never),
        sum(seconds for seconds, _ in losses) / able if able else 0.0,
        median(delays) if delays else None, tuple(wrong), tuple(never),
    )  # fmt: skip
