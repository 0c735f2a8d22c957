"""When a record that failed is tried again, and a stop that waits for the end of a batch.

What belongs here: back-off between runs and between repeats. What does not: repeating one call (``transport.py``), and
the ceiling after which a record is a dead letter (``ledger.py``).
"""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType

_LONGEST = 3600.0


def back_off(key: str, attempts: int, base: float) -> timedelta:
    """Exponential with full jitter: somewhere between nothing and base × 2^attempts seconds, an hour at most.

    The same record and attempt always give the same wait, so that asking often does not shorten it.
    """
    draw = random.Random(f"{key} {attempts}").random()  # noqa: S311 - jitter, not a secret
    return timedelta(seconds=draw * min(base * 2 ** min(attempts, 30), _LONGEST))


def due(key: str, attempts: int, last: datetime | None, base: float, now: datetime) -> bool:
    """Whether a record that has failed ``attempts`` times, last at ``last``, may go again now."""
    return last is None or not attempts or now >= last + back_off(key, attempts, base)


@contextmanager
def unbroken() -> Iterator[None]:
    """A first SIGTERM or SIGINT waits until the block has ended; a second one does not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    asked: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def later(number: int, _: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            restore()
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, later)
    try:
        yield
    finally:
        restore()
        if len(asked) == 1:
            signal.raise_signal(asked[0])
