"""What Emarsys says of its contacts, asked over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cin7_emarsys.emarsys import client
from cin7_emarsys.reconciliation import read_back
from cin7_emarsys.reconciliation.read_back import ReadBack, Scope, read_contacts
from cin7_emarsys.transport import PermissionMissing
from cin7_emarsys_tests.emarsys.conftest import Project, contact

ANA, BEN, CARO = "ana@example.com", "ben@example.com", "caro@example.com"


def read(work: Project, scope: Scope = "all") -> ReadBack:
    return read_contacts(work.settings, work.warehouse, scope=scope)


def rows(work: Project) -> dict[str, dict[str, Any]]:
    with work.warehouse.read() as connection:
        answer = connection.execute("from reconciliation.contacts_read")
        names = [column[0] for column in answer.description or []]
        found = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    return {row["email"]: row for row in found}


def test_fields_and_existence_are_read_back(work: Project) -> None:
    work.known(ANA, BEN, CARO)
    work.account.control("contacts", {"email": ANA, "fields": {"first_name": "Anna", "optin": 1}})
    work.account.control("contacts", {"email": BEN}, "DELETE")
    work.account.control("contacts", {"email": CARO, "duplicate": True})
    said = read(work)
    assert (said.asked, said.found) == (3, 1)
    found = rows(work)
    assert found[ANA]["found"]
    assert found[ANA]["opt_in"] == "1"
    assert json.loads(found[ANA]["fields"])["first_name"] == "Anna"
    assert (found[BEN]["found"], found[BEN]["code"]) == (False, "2008")
    assert (found[CARO]["found"], found[CARO]["code"]) == (False, "2010"), "there twice is not the same as gone"
    assert not list(work.settings.paths.outbox.glob("read-back-*")), "no file with addresses is left"


def test_nobody_is_found(work: Project) -> None:
    work.known(ANA)
    work.account.control("contacts", {"email": ANA}, "DELETE")
    assert read(work).found == 0
    assert not rows(work)[ANA]["found"]


def test_as_many_in_a_call_as_emarsys_takes(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.BATCH == 1000
    monkeypatch.setattr(read_back, "BATCH", 2)
    work.known(ANA, BEN, CARO)
    assert read(work).found == 3
    assert sum("getdata" in row["path"] for row in work.account.judge("requests")) == 2


def test_contacts_of_others_are_listed_where_the_account_lets_us(work: Project) -> None:
    work.known(ANA)
    work.account.control("contacts", {"email": ANA, "fields": {"cin7_customer_id": "c-1"}})
    work.account.control("contacts", {"email": "Signed-Up@example.com"})
    work.account.control("switches", {"indexed_fields": ["cin7_customer_id"]})
    said = read(work)
    assert (said.others, said.why_not) == (1, "")
    assert not rows(work)["signed-up@example.com"]["ours"]


def test_contacts_of_others_cannot_be_asked_for(work: Project) -> None:
    work.known(ANA)
    work.account.control("switches", {"indexed_fields": []})
    said = read(work)
    assert said.others is None
    assert "not indexed" in said.why_not


def test_only_what_was_sent_since(work: Project) -> None:
    work.known(ANA, BEN)
    read(work)
    assert read(work, "sent").asked == 0
    work.contacts(contact(ANA, first_name="Anna"), contact(BEN), contact(CARO))
    work.run("contacts")
    said = read(work, "sent")
    assert (said.asked, said.found) == (2, 2)
    assert set(rows(work)) == {ANA, BEN, CARO}
    assert json.loads(rows(work)[ANA]["fields"])["first_name"] == "Anna"


def test_a_refused_reading_leaves_the_last_one(work: Project) -> None:
    work.known(ANA)
    read(work)
    before = rows(work)
    work.account.control("switches", {"permissions": {"contact.getdata": False}})
    with pytest.raises(PermissionMissing):
        read(work)
    assert rows(work) == before
    assert not list(work.settings.paths.outbox.glob("read-back-*"))


def test_a_reading_that_ends_early_counts_what_was_read_and_calls_nobody_missing(
    work: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_back, "BATCH", 1)
    work.known(ANA, BEN, CARO)
    read(work)
    before = rows(work)
    for email in (ANA, BEN, CARO):
        work.account.control("contacts", {"email": email}, "DELETE")
    fault = {"name": "server-error", "service": "emarsys", "path": "getdata", "nth": 2, "times": 99}
    work.account.control("faults", [fault], "PUT")
    said = read(work)
    assert (said.asked, said.found, said.not_read, said.others) == (3, 0, 2, None)
    assert said.ended
    found = rows(work)
    assert [found[email]["found"] for email in (ANA, BEN, CARO)] == [False, True, True]
    assert (found[BEN], found[CARO]) == (before[BEN], before[CARO])


def test_rows_nobody_asked_for_are_counted_and_ignored(work: Project) -> None:
    work.known(ANA, BEN)
    for email in ("x@example.com", "y@example.com"):
        work.account.control("contacts", {"email": email, "fields": {"cin7_customer_id": "c-9"}})
    work.account.control("switches", {"unasked_rows": 2})
    said = read(work, "sent")
    assert (said.found, said.strangers, said.not_read) == (2, 2, 0)
    assert set(rows(work)) == {ANA, BEN}


def test_everybody_is_asked_once_in_a_cycle_and_the_doubtful_each_time(work: Project) -> None:
    work.policy(("[delivery]", "[read_back]\ncycle_days = 4\n[delivery]"))
    everybody = [f"p{number}@example.com" for number in range(8)]
    work.known(*everybody)
    assert read(work, "due").asked == 8, "they were just sent"
    work.account.control("contacts", {"email": everybody[0]}, "DELETE")
    assert read(work).asked == 8
    asked: list[set[str]] = []
    for _ in range(4):
        moment = max(row["read_at"] for row in rows(work).values())
        assert read(work, "due").asked == 3
        asked.append({email for email, row in rows(work).items() if row["read_at"] > moment})
    assert all(everybody[0] in emails for emails in asked), "who was missing is asked for each time"
    assert set().union(*asked) == set(everybody)


def test_an_older_reading_tells_who_changed_a_field(work: Project) -> None:
    work.known(ANA)
    read(work)
    before = rows(work)[ANA]
    assert before["before"] is None and before["same_since"] == before["read_at"]
    read(work)
    assert rows(work)[ANA]["same_since"] == before["read_at"], "nothing has changed since"
    work.account.control("contacts", {"email": ANA, "fields": {"first_name": "Anna"}})
    read(work)
    after = rows(work)[ANA]
    assert json.loads(after["before"])["first_name"] == "Ana"
    assert before["read_at"] < after["before_at"] < after["same_since"] == after["read_at"]
