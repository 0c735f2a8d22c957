"""How long work tells a person how far it is.

What belongs here: the one call long work makes, and the way to listen to it. What does not: drawing (``cli.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, int, int | None], None]
"""what (``sale details``), done, total (None when it is not known)."""

_listeners: list[Listener] = []


def report(what: str, done: int, total: int | None = None) -> None:
    """Says how far ``what`` is. Free of charge when nobody listens. Never a name, an address or an id."""
    for listener in _listeners:
        listener(what, done, total)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Calls ``listener`` for every report made in this process while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
