"""The sandbox's time: real time plus an offset that a test can move. Nothing else here reads the real date."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class Clock:
    """Simulated time, aware UTC. `advance` moves it; a negative step is allowed (skew)."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)

    def http_date(self, skew: float = 0.0) -> str:
        """The value of a `Date` header, `skew` seconds off."""
        return format_datetime(self.now() + timedelta(seconds=skew), usegmt=True)
