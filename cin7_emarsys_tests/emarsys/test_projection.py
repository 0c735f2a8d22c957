"""The ledger as tables of the warehouse."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cin7_emarsys.emarsys import repair
from cin7_emarsys.emarsys.answers import ACCEPTED, Verdict
from cin7_emarsys.emarsys.ledger import Intended, Ledger
from cin7_emarsys.emarsys.projection import ensure_delivery_tables, in_little_memory, project
from cin7_emarsys.settings import Paths
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import trouble

AT = datetime(2026, 11, 24, 10, 0)


class Both:
    """A ledger and the warehouse it is copied to."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
        self.warehouse = Warehouse(database=str(folder / "warehouse.duckdb"))

    def send(self, flow: str, key: str, payload: str, outcome: str | None = "accepted") -> int:
        items = [Intended(key, payload, f"hash of {payload}", "invoice:1" if flow == "sales" else None)]
        batch = self.ledger.intend(flow, "POST", "run", items, b"", AT)
        if outcome:
            self.close(batch, key, outcome)
        return batch

    def close(self, batch: int, key: str, outcome: str) -> None:
        verdict = ACCEPTED if outcome == "accepted" else Verdict(outcome, "2007", "why")  # type: ignore[arg-type]
        self.ledger.close_batch(batch, {key: verdict}, AT, status=200, seconds=0.5)

    def project(self) -> int:
        """How many batches came over, new or anew."""
        before = self._batches()
        project(self.ledger, self.warehouse)
        return len(self._batches() - before)

    def _batches(self) -> set[tuple[Any, ...]]:
        with self.warehouse.write() as connection:
            ensure_delivery_tables(connection)
            return set(connection.execute("select batch_id, changed_seq from delivery.batches").fetchall())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.ledger.close()


def test_closed_batches_come_over_once(both: Both) -> None:
    both.send("contacts", "a", '{"first_name": "Ana \\"A\\" Ö"}')
    both.send("contacts", "b", "{}", "rejected")
    assert [both.project(), both.project()] == [2, 0]
    found = both.rows("select key, outcome, code, reason, payload->>'first_name' from delivery.records order by key")
    assert found == [("a", "accepted", None, None, 'Ana "A" Ö'), ("b", "rejected", "2007", "why", None)]
    assert both.rows("select flow, records, status, seconds, closed_at from delivery.batches limit 1") == [
        ("contacts", 1, 200, 0.5, AT)
    ]


def test_an_open_batch_comes_when_it_is_closed(both: Both) -> None:
    waiting = both.send("contacts", "a", "{}", None)
    both.send("contacts", "b", "{}")
    assert both.project() == 1
    both.close(waiting, "a", "accepted")
    assert both.project() == 1
    assert both.rows("select key from delivery.records order by key") == [("a",), ("b",)]


def test_delivered_is_what_was_accepted_last(both: Both) -> None:
    both.send("contacts", "a", '{"v": 1}')
    both.send("contacts", "a", '{"v": 2}')
    both.send("contacts", "a", '{"v": 3}', "rejected")
    both.send("contacts", "b", '{"v": 4}', "unknown")
    both.project()
    held = "select key, payload->>'v', payload_hash from delivery.delivered"
    assert both.rows(held) == [("a", "2", 'hash of {"v": 2}')]
    both.send("contacts", "a", '{"v": 5}')
    both.project()
    assert both.rows(held) == [("a", "5", 'hash of {"v": 5}')]


def test_what_was_accepted_last_stays_when_an_older_batch_is_closed_late(both: Both) -> None:
    waiting = both.send("contacts", "a", '{"v": 1}', None)
    both.send("contacts", "a", '{"v": 2}')
    both.project()
    both.close(waiting, "a", "accepted")
    assert both.project() == 1
    assert both.rows("select key, payload->>'v' from delivery.delivered") == [("a", "2")]


def test_more_records_than_one_slice_takes(both: Both) -> None:
    for batch in range(3):
        keys = [f"{batch} {number}" for number in range(6000)]
        batch_id = both.ledger.intend("contacts", "PUT", "run", [Intended(key, "{}") for key in keys], b"", AT)
        both.ledger.close_batch(batch_id, dict.fromkeys(keys, ACCEPTED), AT)
    assert [both.project(), both.project()] == [3, 0]
    assert both.rows("select count(*), count(distinct key) from delivery.records") == [(18_000, 18_000)]
    assert both.rows("select count(*) from delivery.delivered") == [(18_000,)]


def test_what_needs_more_than_little_memory_gets_it() -> None:
    given = []

    def work(limits: Mapping[str, str]) -> int:
        given.append(limits.get("memory_limit"))
        with duckdb.connect() as connection:
            for name, value in limits.items():
                connection.execute(f"set {name} = '{value}'")
            (row,) = connection.execute("select len(list(range)) from range(10_000_000)").fetchall()
            return int(row[0])

    assert in_little_memory(work) == 10_000_000
    assert (given[0], len(given)) == ("48MB", 2)


def publish(both: Both, *items: str) -> int:
    rows = [(item, f'{{"item": "{item}", "available": true, "price": 1.5}}') for item in items]
    version = both.ledger.begin_publication("run", len(rows), f"sha {items}", "file:///feed", rows)
    both.ledger.published(version, AT)
    return version


def test_the_items_published_and_the_items_collected(both: Both) -> None:
    publish(both, "A")
    both.ledger.collected("sha ('A',)", AT)
    publish(both, "A", "B")
    publish(both, "A", "B", "C")
    both.project()
    both.project()
    assert both.rows("select version, rows, collected_at from delivery.publications order by version") == [
        (1, 1, AT),
        (2, 2, None),
        (3, 3, None),
    ]
    assert both.rows("select item, version, price::varchar from delivery.catalogue_items order by item") == [
        (item, 3, "1.5000") for item in "ABC"
    ]
    assert both.rows("select item, version from delivery.catalogue_collected") == [("A", 1)]


def test_a_download_may_outlast_the_next_publication(both: Both) -> None:
    publish(both, "A")
    both.ledger.collected("sha ('A',)", AT)
    publish(both, "A", "B")
    publish(both, "A", "B", "C")
    both.ledger.collected("sha ('A', 'B')", AT)
    both.project()
    assert both.rows("select item, version from delivery.catalogue_collected order by item") == [("A", 2), ("B", 2)]


def test_what_was_collected_stays_known_when_a_later_download_cannot_be_told(both: Both) -> None:
    """It ended so late that the items of its version are gone."""
    publish(both, "A")
    both.ledger.collected("sha ('A',)", AT)
    for items in ("AB", "ABC", "ABCD"):
        publish(both, *items)
    both.ledger.collected("sha ('A', 'B')", AT)
    publish(both, "E")
    both.project()
    assert both.rows("select item, version from delivery.catalogue_collected") == [("A", 1)]


def test_what_an_item_said_is_kept_from_version_to_version(both: Both) -> None:
    for prices in ({"A": 1, "B": 1}, {"A": 2, "B": 1}, {"A": 2}):
        rows = [(item, json.dumps({"item": item, "price": p, "payload_hash": f"{p}"})) for item, p in prices.items()]
        both.ledger.published(both.ledger.begin_publication("run", len(rows), f"{prices}", "file:///feed", rows), AT)
        both.project()
        both.project()
    kept = "select item, price::int, version, until_version from delivery.catalogue_history order by all"
    assert both.rows(kept) == [("A", 1, 1, 2), ("A", 2, 2, None), ("B", 1, 1, 3)]


def test_a_version_not_in_place_is_not_shown(both: Both) -> None:
    publish(both, "A")
    both.ledger.begin_publication("run", 2, "sha", "file:///feed", [("A", "{}"), ("B", "{}")])
    both.project()
    assert both.rows("select version from delivery.publications") == [(1,)]
    assert both.rows("select item from delivery.catalogue_items") == [("A",)]


def test_the_checks_find_what_a_person_must_see(both: Both) -> None:
    both.send("contacts", "a", "{}", "rejected")
    both.send("contacts", "b", "{}", "rejected")
    both.send("contacts", "b", "{}")
    both.send("sales", "l", "{}", "unknown")
    both.send("contacts", "c", "{}", "unknown")
    long_ago = datetime(2020, 1, 1)
    both.ledger.intend("sales", "POST", "run", [Intended("left", "{}")], b"", long_ago)
    for number in range(2):  # the first was fetched, the second was not
        version = both.ledger.begin_publication("run", 1, f"hash {number}", "file:///feed", [(f"i{number}", "{}")])
        both.ledger.published(version, long_ago)
    both.ledger.collected("hash 0", long_ago)
    both.project()
    with both.warehouse.write() as connection:
        connection.execute("create schema if not exists staging")
        connection.execute("create table staging.tenant as select timestamp '2020-01-02 01:00:00' as as_of")
    folder = Path(gates.__file__).parent.parent / "emarsys" / "checks"
    with both.warehouse.read() as connection:
        found = {each.name: gates.ask(connection, each) for each in gates.read(folder)}
    assert {name: gate.rows for name, gate in found.items()} == {
        "dead_letters": 1,
        "in_flight": 1,
        "ledger_conserves": 0,
        "publication_collected": 1,
        "unknown_outcomes": 1,
    }
    assert found["dead_letters"].sample[0]["records"] == 1
    with both.warehouse.write() as connection:
        connection.execute("delete from delivery.records where key = 'a'")
    with both.warehouse.read() as connection:
        (conserves,) = (each for each in gates.read(folder) if each.name == "ledger_conserves")
        assert gates.ask(connection, conserves).rows == 1


def test_an_outcome_that_is_changed_later_comes_over_again(both: Both) -> None:
    both.send("events", "first", '{"v": 1}', "unknown")
    both.send("events", "other", '{"v": 2}')
    both.project()
    repair.resolve(both.ledger, "accepted", "it is there", flow="events")
    assert [both.project(), both.project()] == [1, 0]
    assert both.rows("select key, outcome, resolution from delivery.records order by key") == [
        ("first", "accepted", "accepted"),
        ("other", "accepted", None),
    ]
    assert both.rows("select key from delivery.delivered order by key") == [("first",), ("other",)]
    assert both.rows("select sum(accepted), sum(unknown) from delivery.batches") == [(2, 0)]


def test_an_older_record_resolved_later_does_not_become_the_newest(both: Both) -> None:
    both.send("sales", "line", '{"v": 1}', "unknown")
    repair.resolve(both.ledger, "not-applied", "not there", flow="sales")
    both.send("sales", "line", '{"v": 2}')
    both.project()
    assert both.rows("select payload->>'v' from delivery.delivered") == [("2",)]


def _killed(folder: Path, work: str, event: str, name: str) -> None:
    """In a process of its own: killed when Python is about to do this to a file of that name."""

    def kill(happens: str, told: tuple[Any, ...]) -> None:
        if happens == event and str(told[0]).endswith(name):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    WORK[work](Both(folder))


WORK: dict[str, Callable[[Both], object]] = {
    "project": lambda both: project(both.ledger, both.warehouse),
    "publish_copy": lambda both: both.warehouse.publish_copy(Paths(Path(both.warehouse.database)).published),
    "write_anew": lambda both: both.warehouse.write_anew(),
}


@pytest.mark.parametrize(
    ("work", "event", "name"),
    [
        ("project", "os.remove", "projecting.ndjson"),
        *trouble(
            ("publish_copy", "os.rename", ".published.duckdb.new"),
            ("write_anew", "os.rename", "warehouse.duckdb.new"),
        ),
    ],
)
def test_what_a_killed_process_left_is_gone_after_the_next(both: Both, work: str, event: str, name: str) -> None:
    both.send("contacts", "ana@example.com", "{}")
    if work != "project":
        both.project()
    paths = Paths(Path(both.warehouse.database))
    process = multiprocessing.get_context("forkserver").Process(target=_killed, args=(paths.state, work, event, name))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [file.name for file in paths.leftovers()] == [name]
    both.send("contacts", "ben@example.com", "{}")
    WORK[work](both)
    assert paths.leftovers() == []


def test_whom_a_payload_names_stands_beside_it_in_small_letters(both: Both) -> None:
    both.send("events", "t1", '{"external_id": "Ana@Example.com", "data": {"order": "SO-1"}}')
    both.project()
    assert both.rows("select names from delivery.records") == [("ana@example.com",)]
