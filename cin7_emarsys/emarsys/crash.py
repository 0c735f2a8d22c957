"""Points at which a test may have this process killed: the places between two commits where a crash hurts most.

What belongs here: the list of points, and the killing. A point does nothing unless the settings name it.
"""

from __future__ import annotations

import os
import signal

POINTS = ("planned", "intended", "connecting", "answered", "closed", "file_written", "file_in_place", "published")


def point(name: str, crash_at: str | None) -> None:
    """Kills this very process, without any clean-up, when the settings name this point."""
    if crash_at == name:
        os.kill(os.getpid(), signal.SIGKILL)
