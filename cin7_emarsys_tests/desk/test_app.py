"""The desk as it answers over HTTP, to good questions and to bad ones."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import duckdb
import httpx
import pytest

from cin7_emarsys.desk import pages
from cin7_emarsys.desk.source import Published
from cin7_emarsys.merchant import Merchant
from cin7_emarsys_tests.desk.conftest import Shop, save, serving

PAGES = ["/", "/flows", "/look-up", *(f"/{name}" for name in pages.LISTINGS)]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_and_loads_nothing_from_outside(desk: str, path: str) -> None:
    answer = httpx.get(desk + path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
    assert "<script" not in answer.text
    assert answer.text.count("<h1") == 1 and "<main" in answer.text and 'lang="en"' in answer.text


def test_every_link_of_the_front_page_leads_somewhere(desk: str) -> None:
    for link in set(re.findall(r'href="(/[^"]*)"', httpx.get(desk).text)):
        assert httpx.get(desk + link.replace("&amp;", "&")).status_code == 200, link


def test_customers_are_named_and_lead_to_what_is_known_of_them(desk: str) -> None:
    for path in ("/orphans", "/exceptions"):
        text = httpx.get(desk + path).text
        assert 'href="/look-up?q=c-2"' in text and "No Mail" in text, path
    assert "missing at Emarsys" in httpx.get(f"{desk}/look-up?q=c-2").text


def test_what_was_asked_is_shown_as_text(desk: str) -> None:
    asked = "<script>alert(1)</script>\"'&"
    for path, name in (("/look-up", "q"), ("/availability", "search")):
        text = httpx.get(desk + path, params={name: asked}).text
        assert "<script" not in text and "&lt;script&gt;" in text, path
    assert "<b>bold" not in httpx.get(f"{desk}/availability").text


@pytest.mark.parametrize(
    "asked", ["page=x", "page=-1", "page=99999999999", "page=٣", "filter=nonsense", "search=%00%FF", "x=y"]
)
def test_a_question_that_makes_no_sense_gets_a_page(desk: str, asked: str) -> None:
    assert httpx.get(f"{desk}/availability?{asked}").status_code == 200


def test_what_is_not_there_or_not_allowed(desk: str) -> None:
    assert httpx.get(f"{desk}/nowhere").status_code == 404
    assert httpx.post(f"{desk}/availability").status_code == 405
    assert httpx.get(desk, headers={"Host": "desk.example.com"}).status_code == 400


def test_rows_as_csv_are_those_of_the_page_and_no_formulas(desk: str) -> None:
    answer = httpx.get(f"{desk}/availability.csv?filter=negative")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == [column.heading for column in pages.AVAILABILITY.columns]
    assert [row[0] for row in rows[1:]] == ["JAR"]
    every = list(csv.reader(io.StringIO(httpx.get(f"{desk}/availability.csv").text)))
    assert "'=1+1" in {row[0] for row in every} and "=1+1" not in {row[0] for row in every}


def test_before_anything_is_published_and_while_it_is_replaced(shop: Shop, policy: Merchant, tmp_path: Path) -> None:
    file = tmp_path / "published.duckdb"
    with serving(Published(file), policy) as desk:
        answer = httpx.get(desk)
        assert answer.status_code == 503 and "sync nightly" in answer.text
        file.write_text("this is no database")
        assert httpx.get(desk).status_code == 503
        save(shop, tmp_path / "first").replace(file)
        assert "MUG" in httpx.get(f"{desk}/availability").text
        with duckdb.connect(str(save(shop, tmp_path / "second"))) as changed:
            changed.execute("delete from mart.availability where sku = 'MUG'")
        (tmp_path / "second").replace(file)
        assert "MUG" not in httpx.get(f"{desk}/availability").text
