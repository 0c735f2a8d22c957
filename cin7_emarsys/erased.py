"""Who was erased: salted hashes by which a person who comes again is recognised, and that tell nothing else.

What belongs here: the salt, the hashes, recognising a name (an e-mail, or Cin7's customer id) in a text. What does not:
what is personal in a record (``cin7/forgetting.py``, ``emarsys/erasure.py``) and the order of an erasure
(``operations/erase.py``).

``<state>/erased.sqlite`` and ``<state>/erased.salt`` belong together: without either, the next full read brings everybody
back.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Self

from duckdb import DuckDBPyConnection

_SCHEMA = """
create table if not exists erased (hash text primary key, at text not null);
create table if not exists unfinished (hash text primary key, at text not null);
"""
# What may be an e-mail, by the characters that the warehouse takes for one; inside it, between other signs, a plain one;
# and Cin7's ids.
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_APART = r"\s,;:<>()\""
_NAMES = tuple(
    re.compile(pattern) for pattern in (rf"(?<![^@{_APART}])[^@{_APART}]+@[^@{_APART}]+", r"[\w.+'-]+@[\w.-]+", _ID)
)
_AROUND = ".'`[]{}|/\\=!?&*-"
_ESCAPED = re.compile(r"\\+(?:[bfnrt\"]|u([0-9a-f]{4}))")


class Erased:
    """The persons erased at one place. ``state`` is its state folder; there is nothing in it before the first erasure."""

    def __init__(self, state: Path) -> None:
        self._file, self._salt_file = state / "erased.sqlite", state / "erased.salt"
        self._salt = self._salt_file.read_bytes() if self._salt_file.exists() else b""
        self._hashes: set[str] = set()
        if self._file.exists():
            with closing(self._open()) as connection:
                self._hashes = {found for (found,) in connection.execute("select hash from erased")}
            if self._hashes and not self._salt:
                raise SaltLost(
                    f"{self._salt_file} is gone, so the persons that were erased cannot be recognised and would come back: "
                    "restore it from a backup before anything is read"
                )

    def __len__(self) -> int:
        return len(self._hashes)

    def adding(self, names: Iterable[str]) -> Self:
        """The same with these names, not written down."""
        self._salt = self._salt or secrets.token_bytes(32)
        self._hashes |= {self.digest(name) for name in names}
        return self

    def add(self, names: Iterable[str]) -> int:
        """Writes names down for good, of persons of whom all else has yet to go. Returns how many were new."""
        self._make_salt()
        at = datetime.now(UTC).replace(tzinfo=None).isoformat()
        rows = [(self.digest(name), at) for name in names]
        with closing(self._open()) as connection, connection:
            before = connection.total_changes
            connection.executemany("insert or ignore into erased values (?, ?)", rows)
            new = connection.total_changes - before
            connection.executemany("insert or ignore into unfinished values (?, ?)", rows)
        self._hashes |= {found for found, _ in rows}
        return new

    def finish(self, names: Iterable[str]) -> None:
        """Notes that nothing else is left of these, and of what was written down with one of them."""
        with closing(self._open()) as connection, connection:
            for name in names:
                begun = connection.execute("select at from unfinished where hash = ?", (self.digest(name),)).fetchone()
                connection.execute("delete from unfinished where at = ?", begun or (None,))

    def unfinished(self) -> datetime | None:
        """Since when an erasure is under way, or was broken off (UTC); None when every one is done."""
        if not self._file.exists():
            return None
        with closing(self._open()) as connection:
            (at,) = connection.execute("select min(at) from unfinished").fetchone()
        return datetime.fromisoformat(at) if at else None

    def knows(self, name: object) -> bool:
        """Whether this e-mail or customer id was erased."""
        return isinstance(name, str) and bool(self._hashes) and self.digest(name) in self._hashes

    def digest(self, text: str) -> str:
        """Salted hash of a name, or of what stands behind a tombstone; letter case and blanks around it do not count."""
        return hmac.new(self._salt, text.strip().lower().encode(), hashlib.sha256).hexdigest()

    def tombstone(self, text: str) -> dict[str, str]:
        """What is left of a payload."""
        return {"erased": self.digest(text)}

    def mentions(self, text: str) -> bool:
        """Whether an erased e-mail or customer id stands anywhere in a text, JSON or not."""
        return any(self._in(text))

    def rows(
        self,
        connection: DuckDBPyConnection,
        table: str,
        columns: Sequence[str],
        names: Sequence[str],
        *,
        as_written: Sequence[str] = (),
    ) -> list[tuple[int, str]]:
        """Rows of a table with one of ``names``, which this knows, in one of ``columns``: rowid and the text of these.

        Letter case does not count, but in the columns ``as_written``, where names stand as they are given here.
        """
        every = _text((*columns, *as_written))
        spelled = [spelling for name in names for spelling in spellings(name)]
        # One pattern a name: in any letter case DuckDB finds a literal four times faster than small letters are made.
        named = [
            *(f"regexp_matches({_text(columns)}, $pattern{n}, 'i')" for n in range(len(spelled)) if columns),
            *(f"contains({_text([each])}, $name{n})" for each in as_written for n in range(len(spelled))),
        ]
        given = {f"name{n}": name for n, name in enumerate(spelled)} if as_written else {}
        given |= {f"pattern{n}": re.escape(name) for n, name in enumerate(spelled)} if columns else {}
        found = connection.execute(f"select rowid, {every} from {table} where {' or '.join(named)}", given).fetchall()
        return [(rowid, text) for rowid, text in found if self.mentions(text)]

    def without(self, text: str) -> str:
        """The text with every erased e-mail or customer id taken out."""
        for name in set(self._in(text)):
            text = re.sub(re.escape(name), "(erased)", text, flags=re.IGNORECASE)
        return text

    def _in(self, text: str) -> Iterator[str]:
        if self._hashes:
            plain = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else " ", text.lower())
            for found in chain.from_iterable(pattern.findall(plain) for pattern in _NAMES):
                for name in {found, found.strip(_AROUND)}:
                    if self.knows(name):
                        yield name

    def _make_salt(self) -> None:
        if self._salt_file.exists():
            self._salt = self._salt_file.read_bytes()
            return
        self._salt_file.parent.mkdir(parents=True, exist_ok=True)
        self._salt = self._salt or secrets.token_bytes(32)
        beside = self._salt_file.with_name(f".{self._salt_file.name}.{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self._salt)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self._salt_file)

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=60)
        connection.execute("pragma synchronous = full")
        connection.executescript(_SCHEMA)
        return connection


def _text(columns: Sequence[str]) -> str:
    """SQL: these columns as one text; a blank stands in no name."""
    texts = [f'"{column}"::varchar' for column in columns]
    return texts[0] if len(texts) == 1 else f"concat_ws(' ', {', '.join(texts)})"


def spellings(name: str) -> list[str]:
    """A name in small letters, and as JSON may write it, in small or in capitals, where it has letters beside ASCII."""
    return sorted({name, *(json.dumps(cased)[1:-1].lower() for cased in (name, name.upper()))})


def names_in(column: str) -> str:
    """SQL: what may be a name in a column of JSON text, each once, in small letters, with blanks between.

    A tenth of a payload: what looks for a name among a million of them reads this instead.
    """
    near = rf"[^\\{_APART}]*"  # a line break is written as a backslash and a letter
    name = rf"(?:\\[bfnrt])?({near}@{near}|{_ID})"
    return f"array_to_string(list_distinct(regexp_extract_all(lower({column}), '{name}', 1)), ' ')"


class SaltLost(Exception):
    """The hashes are there and their salt is not."""
