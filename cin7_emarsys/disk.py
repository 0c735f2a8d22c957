"""A disk that cannot be written (full, read-only, not ours): one sentence with what to do, instead of what a library says.

What belongs here: telling such a failure from others, who may read what is created, and how a path stands in SQL. What does
not: what is written.
"""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}
_WORDS = (
    "No space left", "Disk quota", "Read-only file system", "Permission denied", "Operation not permitted", "File too large",
    "Input/output error",
)  # fmt: skip


class Unwritable(OSError):
    """Something could not be written down, and nothing of it stays; the text says what, why, and what to do."""


def only_ours() -> None:
    """From now on this process creates files that nobody else may read. For the entry points.

    Nobody creates a file of SQLite beforehand to make it private: who closes a second handle on one takes from the
    process all locks that SQLite has on it.
    """
    os.umask(0o077)


@contextmanager
def told(what: str, where: Path | str) -> Iterator[None]:
    """Raises `Unwritable` in the place of an error that says that the disk cannot be written."""
    try:
        yield
    except Unwritable:
        raise
    except (OSError, duckdb.Error) as error:
        if not is_unwritable(error):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise Unwritable(
            f"{what} {where} cannot be written: {reason}. Nothing of this step is kept, and what was there is as it was; "
            "make room, or make it writable, and run again"
        ) from None


def is_unwritable(error: BaseException) -> bool:
    """Whether an error says that the disk cannot be written."""
    if isinstance(error, OSError):
        return error.errno in _ERRNO
    return isinstance(error, duckdb.Error) and any(word in str(error) for word in _WORDS)


def literal(path: Path | str) -> str:
    """A path in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def files(path: Path | str, inside: str = "") -> str:
    """A path in SQL where DuckDB takes it for a pattern; only ``inside``, what follows, is one."""
    return literal(glob.escape(str(path)) + inside)
