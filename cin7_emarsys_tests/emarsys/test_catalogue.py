"""The product file: a new version on change only, whole or not at all, served and fetched."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import uvicorn

from cin7_emarsys.emarsys.catalogue import Unfit
from cin7_emarsys.emarsys.feed import create_app
from cin7_emarsys_tests.emarsys.conftest import Project, product
from cin7_emarsys_tests.emarsys.test_shapes import SKUS


def file_of(work: Project) -> Path:
    return work.settings.paths.feed / "products.csv"


def versions(work: Project) -> list[tuple[int, int, bool]]:
    """Version, rows, collected."""
    work.run("catalogue")  # brings the warehouse up to date
    with work.warehouse.read() as connection:
        return connection.execute(
            "select version, rows, collected_at is not null from delivery.publications order by version"
        ).fetchall()


def fetched(work: Project, version: int) -> list[tuple[int, int, bool]]:
    """The versions once this one is noted as collected, which is a moment after its last byte has arrived."""
    deadline = time.monotonic() + 20
    while (version, True) not in [(number, is_) for number, _, is_ in versions(work)] and time.monotonic() < deadline:
        time.sleep(0.02)
    return versions(work)


def test_a_version_is_published_when_something_changes(work: Project) -> None:
    work.fill("mart.catalogue", product("A"), product("B"))
    report = work.run("catalogue")
    assert (report.desired, report.sent, report.accepted) == (2, 2, 2)
    assert file_of(work).read_text().startswith("item,title,link,image,category,available,price,")
    before = file_of(work).stat().st_mtime_ns
    again = work.run("catalogue")
    assert (again.unchanged, again.sent) == (2, 0)
    assert file_of(work).stat().st_mtime_ns == before
    work.fill("mart.catalogue", product("A", available=False), product("B"))
    assert work.run("catalogue").accepted == 1
    assert "https://shop.example.com/A.png,Things,false,10," in file_of(work).read_text()
    assert versions(work) == [(1, 2, False), (2, 2, False)]


def test_a_file_that_was_lost_is_put_back(work: Project) -> None:
    work.fill("mart.catalogue", product("A"))
    work.run("catalogue")
    content = file_of(work).read_bytes()
    file_of(work).unlink()
    work.run("catalogue")
    assert file_of(work).read_bytes() == content


def test_a_dry_run_publishes_nothing(work: Project) -> None:
    work.fill("mart.catalogue", product("A"))
    assert work.run("catalogue", dry_run=True).withheld == {"dry_run": 1}
    assert not file_of(work).exists()


def test_a_dry_run_shows_old_and_new_of_what_differs(work: Project) -> None:
    work.fill("mart.catalogue", product("A"), product("B"), product("C"))
    work.run("catalogue")
    work.fill("mart.catalogue", product("A", available=False), product("B", brand="Other"), product("C"), product("D"))
    changes = {change["key"]: change["changes"] for change in work.run("catalogue", dry_run=True).changes}
    assert changes.keys() == {"A", "B", "D"}
    assert changes["A"] == [("available", "true", "false")]
    assert changes["B"] == [("the rest", None, "category, brand, description, msrp or group_id")]
    assert ("price", None, "10") in changes["D"]


def test_an_empty_catalogue_is_never_published(work: Project) -> None:
    with pytest.raises(Unfit, match="empty"):
        work.run("catalogue")
    assert not file_of(work).exists()


def test_a_catalogue_that_shrinks_is_refused(work: Project) -> None:
    work.fill("mart.catalogue", *(product(item) for item in "ABCD"))
    work.run("catalogue")
    before = file_of(work).read_bytes()
    work.fill("mart.catalogue", product("A"))
    report = work.run("catalogue")
    assert [gate.name for gate in report.refused] == ["catalogue_not_shrunk"]
    assert file_of(work).read_bytes() == before


def test_it_can_go_to_another_folder(work: Project) -> None:
    elsewhere = work.state / "elsewhere"
    work.policy(("[catalogue]", f'[catalogue]\npublish_url = "file://{elsewhere}"'))
    work.fill("mart.catalogue", product("A"))
    work.run("catalogue")
    assert (elsewhere / "products.csv").read_text().count("\n") == 2
    assert [entry.name for entry in elsewhere.iterdir()] == ["products.csv"]


def test_it_can_go_to_a_store_without_files(work: Project) -> None:
    work.policy(("[catalogue]", '[catalogue]\npublish_url = "memory://products"'))
    for price in ("10.00", "11.00"):
        work.fill("mart.catalogue", product("A", price=price))
        assert work.run("catalogue").accepted == 1
    import fsspec

    memory = fsspec.filesystem("memory")
    assert b",11," in memory.cat_file("/products/products.csv")
    assert len(memory.ls("/products")) == 1
    memory.rm("/products", recursive=True)


@pytest.fixture
def served(work: Project) -> Iterator[str]:
    """The address at which `serve` offers the file."""
    config = uvicorn.Config(
        create_app(work.settings, work.ledger),
        host="127.0.0.1",
        port=0,
        lifespan="off",
        ws="none",
        log_level="critical",
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/products.csv"
    running.should_exit = True
    thread.join()


AT = datetime(2026, 11, 24)
AUTH = ("sandbox-feed", "sandbox-feed-password")


def get(
    url: str, headers: dict[str, str] | None = None, auth: tuple[str, str] | None = AUTH, method: str = "GET"
) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.request(method, url, auth=auth, headers=headers)


def test_only_who_knows_the_password_gets_it(work: Project, served: str) -> None:
    work.fill("mart.catalogue", product("A"))
    work.run("catalogue")
    for auth in (None, ("sandbox-feed", "wrong"), ("somebody", AUTH[1])):
        refused = get(served, auth=auth)
        assert (refused.status_code, "Basic" in refused.headers["WWW-Authenticate"]) == (401, True)
    assert get(served, {"Authorization": "Basic ???"}, auth=None).status_code == 401
    assert versions(work) == [(1, 1, False)]


def test_before_the_first_publication_there_is_nothing(served: str) -> None:
    assert get(served).status_code == 404


def test_a_whole_answer_is_collected_and_then_not_modified(work: Project, served: str) -> None:
    work.fill("mart.catalogue", product("A"))
    work.run("catalogue")
    head = get(served, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert versions(work) == [(1, 1, False)]
    whole = get(served)
    assert (whole.status_code, whole.content) == (200, file_of(work).read_bytes())
    assert whole.headers["Content-Type"].startswith("text/csv")
    assert whole.headers["ETag"] == head.headers["ETag"]
    assert "GMT" in whole.headers["Last-Modified"]
    assert fetched(work, 1) == [(1, 1, True)]
    same = get(served, {"If-None-Match": whole.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    work.fill("mart.catalogue", product("A", price="11.00"))
    work.run("catalogue")
    other = get(served, {"If-None-Match": whole.headers["ETag"]})
    assert (other.status_code, other.headers["ETag"] != whole.headers["ETag"]) == (200, True)
    assert fetched(work, 2) == [(1, 1, True), (2, 1, True)]


def test_a_connection_that_breaks_off_collects_nothing(work: Project, served: str) -> None:
    work.fill("mart.catalogue", product("A"))
    work.run("catalogue")
    content = b"x" * 30_000_000  # more than any buffer between the two
    file_of(work).write_bytes(content)
    item = product("A")
    sha = hashlib.sha256(content).hexdigest()
    work.ledger.published(work.ledger.begin_publication("run", 1, sha, "file:///feed", [("A", json.dumps(item))]), AT)
    url = httpx.URL(served)
    request = httpx.Request("GET", url, headers={"Host": "feed", "Authorization": httpx.BasicAuth(*AUTH)._auth_header})
    with socket.create_connection((url.host, url.port or 0)) as connection:
        lines = [f"GET {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert connection.recv(1000)
    assert get(served, method="HEAD").status_code == 200
    assert versions(work) == [(1, 1, False), (2, 1, False)]
    assert get(served).status_code == 200
    assert fetched(work, 2) == [(1, 1, False), (2, 1, True)]


def test_emarsys_fetches_it(work: Project, served: str) -> None:
    work.fill("mart.catalogue", product("A"), product("B", available=False, c_low_stock=999999))
    work.run("catalogue")
    pulled = work.account.control("catalog/pull", {"url": served})
    assert (pulled["status"], pulled["rows"], pulled["errors"]) == ("imported", 2, [])
    items = {item["item"]: item for item in work.account.judge("catalogue")}
    assert (items["A"]["available"], items["B"]["available"], items["A"]["price"]) == ("true", "false", "10")
    assert work.account.control("catalog/pull", {"url": served})["status"] == "unchanged"
    assert fetched(work, 1) == [(1, 2, True)]


def test_items_that_look_like_numbers_and_texts_of_several_lines_arrive(work: Project, served: str) -> None:
    text = {"title": 'The "new", one\n🎉 ü', "description": "line 1\nline 2; 3, 4"}
    work.fill("mart.catalogue", *(product(sku, **text) for sku in SKUS))
    work.run("catalogue")
    work.account.control("catalog/pull", {"url": served})
    items = work.account.judge("catalogue")
    assert {row["item"] for row in items} == set(SKUS)
    assert all(row["description"].startswith("line 1") and row["title"].startswith('The "new", one') for row in items)
