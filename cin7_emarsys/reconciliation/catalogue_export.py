"""An export of the product catalogue that a person took from Emarsys: Emarsys itself cannot be asked for it.

What belongs here: reading such a file and keeping its rows. What does not: what a difference means
(``warehouse/models/reconciliation``).
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from duckdb import DuckDBPyConnection

from cin7_emarsys import disk

_KNOWN = (
    "title", "link", "image", "category", "available", "price", "msrp", "brand", "description", "group_id", "c_stock",
    "c_low_stock", "c_stock_state",
)  # fmt: skip
_TABLE = "create table if not exists reconciliation.catalogue_export (item varchar, columns json, taken_at timestamp)"


class WrongFile(Exception):
    """The file is no export of the product catalogue; the text says what it has and what it should have."""


@dataclass(frozen=True)
class Export:
    """Rows of the file that name an item, rows left out (no item, or one that was named before), columns compared."""

    items: int
    left_out: int
    columns: tuple[str, ...]


def load(connection: DuckDBPyConnection, file: Path, taken_at: datetime) -> Export:
    """Replaces `reconciliation.catalogue_export` by the rows of the file. Raises `WrongFile`."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise WrongFile(f"{file} cannot be read as UTF-8 text ({error.__class__.__name__})") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = {name.strip().lower(): name for name in rows.fieldnames or [] if name}
    columns = tuple(name for name in _KNOWN if name in header)
    if "item" not in header or not columns:
        named = ", ".join(list(header)[:10]) or "none"
        raise WrongFile(
            f"{file} is no export of the product catalogue: its columns are {named}. It needs item and at least one of "
            f"{', '.join(_KNOWN)}"
        )
    seen: set[str] = set()
    left_out = 0
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as out:
        for row in rows:
            item = (row.get(header["item"]) or "").strip()
            if not item or item in seen:
                left_out += 1
                continue
            seen.add(item)
            told = {name: (row.get(header[name]) or "").strip() for name in columns}
            out.write(json.dumps({"item": item, "columns": told, "taken_at": taken_at}, default=str) + "\n")
        out.flush()
        connection.execute(_TABLE)
        connection.execute("delete from reconciliation.catalogue_export")
        if seen:
            typed = "{'item': 'VARCHAR', 'columns': 'JSON', 'taken_at': 'TIMESTAMP'}"
            connection.execute(
                "insert into reconciliation.catalogue_export by name "
                f"select * from read_json({disk.files(out.name)}, format = 'newline_delimited', columns = {typed})"
            )
    return Export(len(seen), left_out, columns)
