"""The rate limit of the Core API: a fixed window per credential, by the sandbox clock."""

from dataclasses import dataclass
from math import ceil

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys.switches import Switches

UNLIMITED = 1000
"""What the header says when the sandbox does not count."""


@dataclass(slots=True)
class Standing:
    """After a call: whether it is allowed, and what the headers say. `reset` in unix seconds, rounded up."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    wait: float


class Windows:
    """Calls per credential. A refused call is not counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, credential: str, switches: Switches, calls: int = 1) -> Standing:
        """`calls=0` looks without counting."""
        now, limit, window = self._clock.now().timestamp(), switches.rate_limit, switches.rate_window
        start, used = self._windows.get(credential, (now, 0))
        if not start <= now < start + window:
            start, used = now, 0
        reset, wait = ceil(start + window), start + window - now
        if limit is None:
            return Standing(True, UNLIMITED, UNLIMITED - 1, reset, wait)
        allowed = used + calls <= limit
        if allowed:
            used += calls
            self._windows[credential] = (start, used)
        return Standing(allowed, limit, max(0, limit - used), reset, wait)
