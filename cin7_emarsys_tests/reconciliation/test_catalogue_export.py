"""An export of the catalogue that a person took from Emarsys: whatever the file is like, it is read or refused in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from cin7_emarsys.reconciliation.catalogue_export import WrongFile, load

AT = datetime(2026, 11, 24, 10)


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        opened.execute("create schema reconciliation")
        yield opened


def kept(connection: DuckDBPyConnection) -> dict[str, dict[str, str]]:
    rows = connection.execute("select item, columns from reconciliation.catalogue_export").fetchall()
    return {item: json.loads(columns) for item, columns in rows}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiter_mark_and_letter_case_do_not_matter(
    connection: DuckDBPyConnection, tmp_path: Path, mark: str, delimiter: str
) -> None:
    file = tmp_path / "export.csv"
    rows = [
        ["Item", "TITLE", "price", "of_nobody"],
        ["A", "Mug & saucer", "10.00", "x"],
        ["B", '"Said ""so"""', "", "y"],
    ]
    file.write_text(mark + "\r\n".join(delimiter.join(row) for row in rows) + "\r\n", encoding="utf-8")
    said = load(connection, file, AT)
    assert (said.items, said.left_out, said.columns) == (2, 0, ("title", "price"))
    assert kept(connection) == {
        "A": {"title": "Mug & saucer", "price": "10.00"},
        "B": {"title": 'Said "so"', "price": ""},
    }


def test_rows_without_an_item_and_doubles_are_counted_and_a_newer_export_replaces_the_older(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "export.csv"
    file.write_text("item,title\nA,one\n,none\nA,two\nB\n")
    said = load(connection, file, AT)
    assert (said.items, said.left_out) == (2, 2)
    assert kept(connection)["A"] == {"title": "one"}
    file.write_text("item,title\nC,three\n")
    load(connection, file, AT)
    assert set(kept(connection)) == {"C"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"sku,name\nA,one\n", "its columns are sku, name. It needs item"),
        (b"item\nA\n", "its columns are item"),
        (b"", "its columns are none"),
        (b"\xff\xfe\x00i", "cannot be read as UTF-8"),
        (b"<html><body>Sign in</body></html>\n", "is no export of the product catalogue"),
    ],
)
def test_another_file_is_refused_and_the_last_export_stays(
    connection: DuckDBPyConnection, tmp_path: Path, content: bytes, said: str
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("item,title\nA,one\n")
    bad.write_bytes(content)
    load(connection, good, AT)
    with pytest.raises(WrongFile, match=said):
        load(connection, bad, AT)
    assert set(kept(connection)) == {"A"}
