"""The ledger: it conserves or refuses, sends once what may go once, and survives a killed process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import IntegrityError

from cin7_emarsys.disk import Unwritable
from cin7_emarsys.emarsys import repair
from cin7_emarsys.emarsys.answers import ACCEPTED, Outcome, Verdict
from cin7_emarsys.emarsys.ledger import Ceiling, Intended, Ledger, LedgerUnwritable, NotConserved
from cin7_emarsys.emarsys.tables import audit, batches, publications, records

AT = datetime(2026, 11, 24, 10, 0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite'}")
    yield made
    made.close()


def intend(ledger: Ledger, flow: str, *keys: str) -> int:
    items = [Intended(key, "{}", "hash", "invoice:i1") for key in keys]
    return ledger.intend(flow, "POST somewhere", "run", items, b"request", AT)


def outcomes(ledger: Ledger) -> list[tuple[str, str | None]]:
    with ledger.engine.connect() as connection:
        found = connection.execute(select(records.c.key, records.c.outcome).order_by(records.c.record_id))
        return [(key, outcome) for key, outcome in found]


def test_a_batch_is_closed_with_a_fate_for_each_record(ledger: Ledger) -> None:
    batch = intend(ledger, "contacts", "a", "b", "c", "d")
    fates = {
        "a": ACCEPTED,
        "b": Verdict("rejected", "2007", "no"),
        "c": Verdict("retryable"),
        "d": Verdict("unknown"),
    }
    ledger.close_batch(batch, fates, AT, response=b"answer", status=200)
    assert outcomes(ledger) == [("a", "accepted"), ("b", "rejected"), ("c", "retryable"), ("d", "unknown")]
    assert ledger.open_batches("contacts") == []


@pytest.mark.parametrize("keys", [["a"], ["a", "b", "c"], ["a", "c"], []])
def test_a_batch_that_does_not_conserve_is_not_closed(ledger: Ledger, keys: list[str]) -> None:
    batch = intend(ledger, "contacts", "a", "b")
    with pytest.raises(NotConserved, match="2 records sent"):
        ledger.close_batch(batch, dict.fromkeys(keys, ACCEPTED), AT)
    assert outcomes(ledger) == [("a", None), ("b", None)]
    assert [(found, state) for found, state, _ in ledger.open_batches("contacts")] == [(batch, "intent")]


@pytest.mark.parametrize("flow", ["sales", "events"])
@pytest.mark.parametrize("fate", [None, "accepted", "unknown"])
def test_what_goes_once_cannot_be_intended_again(ledger: Ledger, flow: str, fate: str | None) -> None:
    batch = intend(ledger, flow, "k")
    if fate:
        ledger.close_batch(batch, {"k": Verdict(fate)}, AT)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        intend(ledger, flow, "other", "k")
    assert [key for key, _ in outcomes(ledger)] == ["k"]


def test_no_error_of_the_ledger_names_a_person(ledger: Ledger) -> None:
    def send() -> None:
        items = [Intended("ana@example.com", '{"email": "ana@example.com"}')]
        ledger.intend("sales", "POST somewhere", "run", items, b"request", AT)

    send()
    with pytest.raises(IntegrityError) as caught:
        send()
    assert "ana@" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("flow", ["sales", "events"])
@pytest.mark.parametrize("fate", ["rejected", "retryable"])
def test_what_did_not_happen_may_go_again(ledger: Ledger, flow: str, fate: str) -> None:
    ledger.close_batch(intend(ledger, flow, "k"), {"k": Verdict(fate)}, AT)  # type: ignore[arg-type]
    intend(ledger, flow, "k")
    assert outcomes(ledger) == [("k", fate), ("k", None)]


def test_a_contact_may_go_as_often_as_it_changes(ledger: Ledger) -> None:
    ledger.close_batch(intend(ledger, "contacts", "k"), {"k": ACCEPTED}, AT)
    intend(ledger, "contacts", "k")


def test_the_order_of_closing_is_kept(ledger: Ledger) -> None:
    first, second = intend(ledger, "contacts", "a"), intend(ledger, "events", "a")
    for batch in (second, first):
        ledger.close_batch(batch, {"a": ACCEPTED}, AT)
    with ledger.engine.connect() as connection:
        found = connection.execute(select(batches.c.batch_id).order_by(batches.c.changed_seq)).scalars().all()
    assert found == [second, first]


def test_two_may_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Ledger(url), range(8)))
    for number, one in enumerate(made):
        intend(one, "contacts", str(number))
    assert len(outcomes(made[0])) == 8
    for one in made:
        one.close()


def test_an_intent_survives_the_death_of_its_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    program = textwrap.dedent(
        f"""
        import os, signal
        from datetime import datetime
        from cin7_emarsys.emarsys.ledger import Intended, Ledger
        ledger = Ledger({url!r})
        at = datetime(2026, 11, 24)
        ledger.intend("sales", "POST", "run", [Intended("k", "{{}}")], b"", at)
        ledger.connecting(ledger.intend("sales", "POST", "run", [Intended("l", "{{}}")], b"", at), at)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ))
    assert ended.returncode == -signal.SIGKILL
    ledger = Ledger(url)
    assert ledger.open_batches("sales") == [(1, "intent", ["k"]), (2, "connecting", ["l"])]
    with pytest.raises(IntegrityError):
        intend(ledger, "sales", "k")
    ledger.close()


def test_a_batch_on_its_way_is_told_beside_what_is_parked(ledger: Ledger) -> None:
    intend(ledger, "events", "not yet")
    ledger.connecting(intend(ledger, "sales", "k1", "k2"), AT)
    facts = repair.parked(ledger)
    assert (
        facts["on_their_way"] == [{"flow": "sales", "records": 2, "batches": 1, "since": AT}] and not facts["records"]
    )
    assert repair.parked(ledger, flow="events")["on_their_way"] == []


def test_a_version_is_published_and_collected(ledger: Ledger) -> None:
    first = ledger.begin_publication("run", 1, "sha-1", "file:///x", [("A", "{}")])
    assert ledger.unfinished_publications() == [(first, "sha-1")]
    ledger.published(first, AT)
    assert ledger.unfinished_publications() == []
    second = ledger.begin_publication("run", 1, "sha-2", "file:///x", [("A", "{}")])
    again = ledger.begin_publication("run", 1, "sha-3", "file:///x", [("A", "{}")])
    assert (first, second, again) == (1, 2, 2)
    assert ledger.unfinished_publications() == [(2, "sha-3")]


def test_a_file_may_be_fetched_before_it_is_noted_that_it_is_in_place(ledger: Ledger) -> None:
    version = ledger.begin_publication("run", 1, "sha", "file:///x", [("A", "{}")])
    ledger.collected("sha", AT)
    noted = AT + timedelta(minutes=1)
    ledger.published(version, noted)
    with ledger.engine.connect() as connection:
        assert connection.execute(select(publications.c.collected_at)).scalar_one() == noted


def test_the_database_itself_refuses_a_batch_that_does_not_add_up(ledger: Ledger) -> None:
    batch = intend(ledger, "contacts", "a", "b")
    with pytest.raises(IntegrityError, match="conserves"), ledger.write() as connection:
        connection.execute(update(batches).where(batches.c.batch_id == batch).values(state="closed", accepted=1))


@pytest.mark.parametrize("where", ["/sys/nowhere/ledger.sqlite", "/proc/ledger.sqlite"])
def test_a_ledger_that_cannot_be_opened_is_told(where: str) -> None:
    with pytest.raises(Unwritable, match=rf"the ledger sqlite:///{where} cannot be written"):
        Ledger(f"sqlite:///{where}")


@pytest.mark.parametrize("pragma", ["max_page_count = 1", "query_only = on"])
def test_a_full_or_read_only_disk_leaves_no_half_state(tmp_path: Path, pragma: str) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    batch = intend(ledger, "sales", "k")
    event.listen(ledger.engine, "checkout", lambda connection, *_: connection.execute(f"pragma {pragma}"))
    with pytest.raises(LedgerUnwritable, match=r"cannot be written: .*(full|readonly).* Nothing was sent after that"):
        ledger.intend("sales", "POST", "run", [Intended(str(n), "x" * 5000) for n in range(50)], b"", AT)
    ledger.close()
    again = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    assert outcomes(again) == [("k", None)]
    assert [found for found, _, _ in again.open_batches("sales")] == [batch]
    again.close()


@pytest.mark.parametrize(
    ("flow", "outcome", "dies"),
    [
        ("contacts", "retryable", True),
        ("contacts", "unknown", True),
        ("events", "retryable", True),
        ("events", "unknown", False),
    ],
)
def test_what_is_tried_again_by_itself_dies_at_the_ceiling(
    ledger: Ledger, flow: str, outcome: Outcome, dies: bool
) -> None:
    batch = intend(ledger, flow, "k")
    dead = ledger.close_batch(batch, {"k": Verdict(outcome, attempt=True)}, AT, ceiling=Ceiling(1, 48))
    assert dead == ({"k"} if dies else set())


def test_who_fails_for_too_long_is_a_dead_letter_though_seldom_tried(ledger: Ledger) -> None:
    def fail(hours: float) -> set[str]:
        batch, fates = intend(ledger, "contacts", "k"), {"k": Verdict("retryable", attempt=True)}
        return ledger.close_batch(batch, fates, AT + timedelta(hours=hours), ceiling=Ceiling(99, 48))

    assert [fail(hours) for hours in (0, 47, 48)] == [set(), set(), {"k"}]


def test_what_a_person_has_decided_uses_up_no_attempt(ledger: Ledger) -> None:
    ledger.close_batch(intend(ledger, "events", "k"), {"k": Verdict("unknown", attempt=True)}, AT)
    repair.resolve(ledger, "not-applied", "it is not there", flow="events")
    batch, fates = intend(ledger, "events", "k"), {"k": Verdict("retryable", attempt=True)}
    assert ledger.close_batch(batch, fates, AT, ceiling=Ceiling(2, 48)) == set()


def test_dead_letters_are_settled_by_their_code_and_that_is_kept(ledger: Ledger) -> None:
    fates = {key: Verdict("rejected", code, "no") for key, code in (("a", "2007"), ("b", "2008"))}
    ledger.close_batch(intend(ledger, "contacts", "a", "b"), fates, AT)
    assert repair.settle_letters(ledger, "dropped", "no such date", code="2007") == 1
    assert [letter["key"] for letter in repair.letters(ledger)["records"]] == ["b"]
    with ledger.engine.connect() as connection:
        kept = connection.execute(select(audit.c.command, audit.c.reason)).all()
    assert [tuple(row) for row in kept] == [("dead-letters drop", "no such date")]
