"""The vendors' call limit: so many calls in a window, per credential. Rejected calls are not counted."""

import math
import time
from collections import deque
from collections.abc import Callable


class Limiter:
    """`calls` in `window` seconds for each key, sliding (or `fixed`, counted from the first call). None: no limit."""

    def __init__(
        self,
        calls: int | None,
        window: float,
        *,
        fixed: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.calls, self.window, self.fixed = calls, window, fixed
        self._monotonic = monotonic
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str) -> bool:
        """Counts the call and says True, or says False and counts nothing."""
        if self.calls is None:
            return True
        now, taken = self._monotonic(), self._taken.setdefault(key, deque())
        if self.fixed:
            if taken and now - taken[0] >= self.window:
                taken.clear()
        else:
            while taken and now - taken[0] >= self.window:
                taken.popleft()
        if len(taken) >= self.calls:
            return False
        taken.append(now)
        return True

    def reset_in(self, key: str) -> float:
        """Seconds until the oldest counted call leaves the window."""
        taken = self._taken.get(key)
        return max(0.0, self.window - (self._monotonic() - taken[0])) if taken else 0.0

    @property
    def retry_after(self) -> str:
        """`60 Seconds`, as Cin7 writes it; the window rounded up."""
        return f"{math.ceil(self.window)} Seconds"
