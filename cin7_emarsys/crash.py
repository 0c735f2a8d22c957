"""Numbered points at which a trial may have this process die or fail: the places between two commits where that hurts most.

What belongs here: the list of points, the ways to fail, and failing. Nothing happens unless `CRASH_AT` names a point
(``settings.py`` arms it): ``point[@nth][:mode]`` – the nth time it is passed (the first); mode is one of `MODES`.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping

# In the order in which a read, a delivery, a publication and an erasure pass them; a point's number is its place.
POINTS: Mapping[str, str] = {
    "page_landed": "a page of an extract is on disk",
    "landed": "an extract is whole on disk and nothing of it is loaded",
    "loaded": "its rows are merged, not yet committed",
    "watermark": "the watermark has moved in the same transaction, not yet committed",
    "planned": "what is to be sent is known, and nothing is written down",
    "intended": "a batch is written down and the connection is not yet sought",
    "connecting": "it is noted that the request may leave from now on",
    "sent": "the request has left and its answer has not been read",
    "answered": "the answer is there and not written down",
    "closed": "the outcome is written down",
    "moved": "the delivered state has moved",
    "file_written": "the product file stands beside its place",
    "file_in_place": "the product file is in its place, and that is not written down",
    "published": "it is written down",
    "hashed": "an erasure has begun: the person's hashes are kept, and nothing of hers is gone",
    "deleted_there": "her contact is deleted at Emarsys, if that was asked",
    "ledger_erased": "the ledger has tombstones in her place",
    "files_erased": "so have landed pages and the outbox",
    "warehouse_erased": "she is gone from the warehouse; the freed pages of its file still hold her",
}
MODES = ("kill", "exception", "disk-full")

_armed: tuple[str, str] | None = None
_to_pass = 0  # so many times the armed point is still passed unharmed


class Crashed(Exception):
    """The failure that a trial asked for."""


def arm(spec: str | None) -> None:
    """Arms one point of this process, or none. Raises `ValueError` that lists what there is."""
    global _armed, _to_pass
    place, _, mode = (spec or "").partition(":")
    name, _, nth = place.partition("@")
    mode, nth = mode or "kill", nth or "1"
    if name and (name not in POINTS or mode not in MODES or not nth.isdecimal() or nth == "0"):
        raise ValueError(
            f"must be one of {', '.join(POINTS)}, with @2, @3 ... or :{', :'.join(MODES)} behind it or nothing"
        )
    _to_pass = int(nth) - 1
    _armed = (name, mode) if name else None


def armed(name: str) -> bool:
    """Whether this point would fail, now or at a later passing."""
    return _armed is not None and _armed[0] == name


def point(name: str) -> None:
    """Fails here, in the armed mode, when this point is the armed one: kill -9, an exception, or a full disk."""
    global _to_pass
    if _armed is None or _armed[0] != name:
        return
    if _to_pass:
        _to_pass -= 1
        return
    mode = _armed[1]
    if mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "disk-full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise Crashed(f"crash point {name}")
