"""Landing: the pages of one extract as immutable files, until they are loaded.

What belongs here: writing pages to disk and telling a whole extract from a broken-off one. What does not: the database
(``load.py``) and what a record means (``models.py``).

``<landing>/<entity>/<extract id>/page-0001.ndjson`` has one line a record: our typed fields, and `_raw`, the record as
received. Records that cannot be used stand in ``rejected.ndjson``; ``manifest.json`` is written last and makes it whole.
What says who an erased person is (``erased.py``) is taken out before a record is written, and counted in the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from cin7_emarsys import crash, disk
from cin7_emarsys.cin7.forgetting import forget
from cin7_emarsys.cin7.models import AvailabilityRow, TopRecord
from cin7_emarsys.erased import Erased

Row = dict[str, Any]

_TOMBSTONE = "_tombstone"  # stands for the payload of a record that named an erased person
# Longer than any extract takes; a younger one may belong to a process that is still at it.
_ABANDONED_SECONDS = 6 * 3600


class Extract:
    """One extract being written. ``at`` is when it began, by Cin7's clock (naive UTC). Its methods raise `Unwritable`."""

    def __init__(self, landing: Path, entity: str, model: type[TopRecord], at: datetime) -> None:
        self.entity, self.model, self.at = entity, model, at
        self.id = f"{at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self.folder = landing / entity / self.id
        with self._told():
            self.folder.mkdir(parents=True)
        self.begin()
        self._erased = Erased(landing.parent)
        self._many = TypeAdapter(list[model])  # type: ignore[valid-type]
        self._known = {
            alias for name, info in model.model_fields.items() for alias in (name, *_aliases(info.validation_alias))
        }

    def begin(self) -> None:
        """Begins, or begins anew: what was added so far is dropped."""
        for file in self.folder.iterdir():
            file.unlink()
        self.records = self.rejected = self.pages = self.erased = self._left_out = 0
        self.drift: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.conflicts: set[str] = set()

    def add(self, rows: list[Row], extra: Iterable[Row] | None = None) -> list[TopRecord]:
        """Writes one page. ``extra`` gives columns of our own for each row. Returns the usable records, in order."""
        self.pages += 1
        extras = list(extra) if extra is not None else [{}] * len(rows)
        if self._erased and self.model is not AvailabilityRow:  # by far the most rows, and they name nobody
            rows, extras = self._forget(rows, extras)
        try:
            checked: list[TopRecord | None] = list(self._many.validate_python(rows))
        except ValidationError:  # some record is bad: find out which
            checked = [self._one(row, more) for row, more in zip(rows, extras, strict=True)]
        lines = bytearray()
        usable = []
        for row, record, more in zip(rows, checked, extras, strict=True):
            raw = _raw(row, more)
            digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
            key = self.key_of(row) or digest
            if self.keys.setdefault(key, digest) != digest:
                self.conflicts.add(key)
            if record is None:
                continue
            usable.append(record)
            fields = record.__pydantic_serializer__.to_json(record)
            own = to_json({name: value for name, value in more.items() if name != _TOMBSTONE} | {"_hash": digest})
            lines += fields[:-1] + b"," + own[1:-1] + b',"_raw":' + raw + b"}\n"
            for name in row.keys() - self._known:
                self.drift[name] = self.drift.get(name, 0) + 1
        self.records += len(usable)
        self._write(f"page-{self.pages:04d}.ndjson", bytes(lines))
        crash.point("page_landed")
        return usable

    def _forget(self, rows: list[Row], extras: list[Row]) -> tuple[list[Row], list[Row]]:
        """The same without erased persons: records of theirs left out, or blanked and with a tombstone for their payload."""
        kept, theirs = [], []
        for row, more in zip(rows, extras, strict=True):
            raw = to_json(row, inf_nan_mode="constants")
            if isinstance(row, dict) and self._erased.mentions(raw.decode()):
                self.erased += 1
                digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
                left = forget(self.entity, row, self._erased)
                if left.row is None:
                    self._left_out += 1
                    self.keys.setdefault(self.key_of(row) or digest, digest)  # it came, and counts as such
                    continue
                row = left.row
                more = {**more, _TOMBSTONE: self._erased.tombstone(digest), "_erased": left.was_theirs or None}
            kept.append(row)
            theirs.append(more)
        return kept, theirs

    def _one(self, row: object, more: Row) -> TopRecord | None:
        try:
            return self.model.model_validate(row)
        except ValidationError as error:
            self.reject(row, "; ".join(f"{_path(fault['loc'])} {_why(fault)}" for fault in error.errors()[:5]), more)
            return None

    def reject(self, row: object, reason: str, more: Row | None = None) -> None:
        """Keeps a record that cannot be used, with the reason."""
        self.rejected += 1
        payload = _raw(row, more or {}).decode()
        key = self.key_of(row) or hashlib.md5(payload.encode(), usedforsecurity=False).hexdigest()
        line = json.dumps({"key": key, "payload": payload, "reason": reason}, ensure_ascii=False) + "\n"
        with self._told(), (self.folder / "rejected.ndjson").open("a") as file:
            file.write(line)

    def key_of(self, row: object) -> str | None:
        """The record's key as text, or None when it has none. An id has no letter case; a batch or a number has."""
        if not isinstance(row, dict):
            return None
        parts = [row.get(name) for name in self.model.key_fields]
        own, *rest = ("" if part is None else str(part).strip() for part in parts)
        return "|".join((own.lower(), *rest)) if parts[0] else None

    def finish(self, **facts: object) -> Path:
        """Makes the extract whole; after this it may be loaded."""
        counts = {"pages": self.pages, "records": self.records, "rejected": self.rejected, "erased": self.erased}
        distinct = len(self.keys) == self.records + self.rejected + self._left_out  # no key came twice
        manifest = {"entity": self.entity, "at": self.at.isoformat(), **counts, "distinct": distinct}
        self._write("manifest.json", json.dumps({**manifest, **facts}).encode())
        crash.point("landed")
        return self.folder

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name: str, content: bytes) -> None:
        beside = self.folder / f".{name}"
        with self._told():
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(self.folder / name)

    def _told(self) -> AbstractContextManager[None]:
        return disk.told("the landing folder", self.folder.parent)


def _raw(row: object, more: Row) -> bytes:
    return to_json(more.get(_TOMBSTONE, row), inf_nan_mode="constants")


def sweep(landing: Path, entity: str) -> int:
    """Removes extracts that a crash left without a manifest. Returns how many."""
    old = time.time() - _ABANDONED_SECONDS
    broken = []
    for folder in (landing / entity).glob("*"):
        with suppress(FileNotFoundError):  # another job has just removed it
            if not (folder / "manifest.json").exists() and folder.stat().st_mtime < old:
                broken.append(folder)
    for folder in broken:
        shutil.rmtree(folder, ignore_errors=True)
    return len(broken)


def _aliases(alias: object) -> list[str]:
    return [choice for choice in getattr(alias, "choices", []) if isinstance(choice, str)]


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "record"


def _why(fault: Any) -> str:
    return "is missing" if fault["type"] == "missing" else str(fault["msg"]).removeprefix("Value error, ")
