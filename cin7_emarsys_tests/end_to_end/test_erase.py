"""A person who is forgotten: gone from every place, her orders still counting, and not brought back by what is read next."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cin7_emarsys import crash
from cin7_emarsys.erased import Erased
from cin7_emarsys_tests.end_to_end.conftest import Place

ERASING = ("hashed", "deleted_there", "ledger_erased", "files_erased", "warehouse_erased")
_BUYER = """
select documents.email, documents.customer_id
from mart.documents as documents
join delivery.delivered as sent on sent.flow = 'contacts' and sent.key = documents.email
join (
    select customer_id, min(email) as email from staging.contacts group by customer_id having count(*) = 1
) as own on own.customer_id = documents.customer_id and own.email = documents.email
group by all
having count(*) > 1
order by count(*) desc, documents.email
limit 1
"""


@pytest.fixture
def copy(loaded: Place, tmp_path: Path) -> Iterator[Place]:
    """The loaded place once more, at the same vendors, to erase somebody in."""
    shutil.copytree(loaded.folder, tmp_path / "copy")
    yield Place(tmp_path / "copy", loaded.environment)
    crash.arm(None)


def buyer(place: Place) -> tuple[str, str]:
    """Somebody with an account of her own and several documents."""
    ((email, account),) = place.rows(_BUYER)
    return email, account


def kept(place: Place) -> dict[str, Any]:
    """What an erasure must not change."""
    return {
        "revenue": place.rows("select document_kind, dated_on, sum(net) from mart.documents group by all order by all"),
        "documents": place.rows("select count(*) from mart.documents"),
        "sales": place.rows("select count(*), sum(total) from (select len(Invoices) as total from raw.sales)"),
        "sent": place.rows("select flow, batch_id, outcome, count(*) from delivery.records group by all order by all"),
        "ats": place.rows("select sku, ats from mart.ats where valid_to is null order by all"),
    }


def named(place: Place, *names: str) -> list[str]:
    """Files of the place in which these stand, as bytes."""
    found = []
    for file in sorted((place.folder / "var").rglob("*")):
        if file.is_file() and "rate" not in file.parts:
            content = file.read_bytes().lower()
            found += [str(file.relative_to(place.folder)) for name in names if name.encode() in content]
    return found


def again(place: Place, email: str) -> dict[str, Any]:
    return dict(json.loads(place.run("erase", email, "--reason", f"{email} asked on the phone", "--json")))


@pytest.mark.soak
def test_a_person_is_forgotten(copy: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    email, account = buyer(copy)
    before = kept(copy)
    shown = json.loads(copy.run("erase", email.upper(), "--dry-run", "--json"))
    places = {row["place"]: row["rows"] for row in shown["places"]}
    assert shown["addresses"] == [email] and shown["accounts"] == [account]
    assert places.keys() >= {"raw.customers", "raw.sales", "ledger: contacts", "ledger: sales"}
    assert shown["unsearched_bytes"] > 0 and "landing/" not in places
    assert named(copy, email), "a dry run changes nothing"

    (copy.folder / "var" / ".published.duckdb.123.new").write_text(f"left by a killed process: {email}")
    monkeypatch.setenv("CRASH_AT", "ledger_erased:exception")
    copy.run("erase", email, "--reason", "asked", code=1)
    monkeypatch.delenv("CRASH_AT")
    assert named(copy, email)
    assert again(copy, email)["left"] == []
    assert named(copy, email, account) == []
    assert kept(copy) == before
    excluded = copy.rows("select flow, count(*) from mart.excluded where rule = 'erased' group by flow order by flow")
    assert excluded == [("sales", places["ledger: sales"])]
    notes = copy.rows("select command, reason from operations.audit order by entry")
    assert notes == [("erase", "asked"), ("erase", "(erased) asked on the phone")]

    copy.run("erase", "nobody@example.com", "--reason", "asked", code=1)
    (copy.folder / "var" / "landing" / "left.ndjson").write_text('{"Email": "Left@example.com"}\n')
    only = json.loads(copy.run("erase", "left@example.com", "--dry-run", "--json"))
    assert (only["places"], only["unsearched_bytes"]) == ([{"place": "landing/", "rows": 1}], 0)


@pytest.mark.soak
def test_nothing_brings_her_back(copy: Place) -> None:
    email, account = buyer(copy)
    before, mine = kept(copy), copy.judged()
    shown = json.loads(copy.run("erase", email, "--dry-run", "--json"))
    done = [row for row in again(copy, email)["places"] if not row["place"].endswith("/")]
    assert sorted(map(str, done)) == sorted(map(str, shown["places"]))
    for job, full in (("nightly", True), ("orders", False)):
        outcome = copy.sync(job, full=full)
        assert {flow: outcome["assets"][f"emarsys/{flow}"]["sent"] for flow in ("contacts", "sales", "events") if flow} == {
            "contacts": 0, "sales": 0, "events": 0,
        }  # fmt: skip
        assert not [
            c for c in outcome["checks"] if not c["passed"] and c["name"] in ("balance_adds_up", "ledger_conserves")
        ]
        assert named(copy, email, account) == []
        assert kept(copy) == before
        assert copy.judged() == mine


@pytest.mark.soak
@pytest.mark.parametrize("point", ERASING)
def test_killed_and_said_again(copy: Place, point: str) -> None:
    email, account = buyer(copy)
    before = kept(copy)
    with copy.start("erase", email, "--reason", "asked", CRASH_AT=point) as process:
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    mine = copy.judged()
    copy.sync("orders")
    assert copy.judged() == mine, "nothing of hers is sent meanwhile"
    assert Erased(copy.folder / "var").unfinished()
    assert again(copy, email)["left"] == []
    assert not Erased(copy.folder / "var").unfinished()
    assert named(copy, email, account) == []
    assert kept(copy) == before
