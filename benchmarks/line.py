"""The product's own line in one process, step by step, without Dagster's event log: what a cadence reads, builds, publishes.

What belongs here: calling the functions that the assets call, in the order of the jobs; and the two plain policies, which
share all of it but the figures. What does not: when a step is due (``back_in_stock.py``) and what happens at the merchant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from duckdb import DuckDBPyConnection

from cin7_emarsys.cin7 import availability, extract, sales, second_look
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.definitions import defs
from cin7_emarsys.emarsys import catalogue, feed
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.merchant import load_merchant
from cin7_emarsys.operations.sync import release
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import TransportError
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse

OURS = "ours"
FIGURES = {"on_hand": "OnHand", "available": "Available"}
_BEFORE_LOOK = frozenset(factory.needed_for("mart.second_look_wanted")) | {
    name for name in factory.models() if name.startswith("staging.")
}
_DOCUMENTS = frozenset({"staging.document_lines", "staging.credit_notes", "staging.invoices", "staging.sales"})


class _Open(Warehouse):
    """Stays open between steps: nobody else waits for it here, and opening is a third of a small step."""

    def _connect(self, *, read_only: bool, deadline: float) -> DuckDBPyConnection:
        if self.database not in _connections:
            _connections[self.database] = super()._connect(read_only=False, deadline=deadline)
            _connections[self.database].execute("set threads = 1")
        connection = _connections[self.database].cursor()
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set memory_limit = '8GB'")  # a delivery lowers it for as long as the file is open otherwise
        connection.execute("reset max_vacuum_tasks")
        return connection


_connections: dict[str, DuckDBPyConnection] = {}


class Line:
    """One policy at one sandbox. ``published`` counts versions of the product file."""

    def __init__(self, settings: Settings, policy: str) -> None:
        self.settings, self.policy = settings, policy
        self.warehouse = _Open(database=str(settings.paths.warehouse))
        self.ledger = Ledger(settings.ledger_url)
        self.published = 0
        self._merchant = settings.merchant
        self._toml = settings.paths.state / "merchant.toml"
        self._shipped = ""
        self._holds: dict[int, str] = {}
        selected = defs.resolve_job_def("stock").asset_layer.executable_asset_keys
        stock = {".".join(key.path) for key in selected if key.path[0] in ("staging", "mart")}
        self._models = stock if policy == OURS else _needed("mart.catalogue", stock)

    def serve(self) -> str:
        """Serves the product file; returns its address. It ends with the process."""
        ready = threading.Event()
        port = 0

        def listening(on: int) -> None:
            nonlocal port
            port = on
            ready.set()

        app = feed.create_app(self.settings, self.ledger)
        threading.Thread(target=feed.run, args=(app, 0, listening), daemon=True).start()
        ready.wait()
        return f"http://127.0.0.1:{port}/{self.settings.merchant.catalogue.filename}"

    @contextmanager
    def _cin7(self) -> Iterator[Cin7]:
        """A client on a machine whose clock is right: the simulated one is days ahead of this machine's."""
        with Cin7(self.settings) as cin7:
            cin7.me()
            yield cin7

    def first_load(self) -> None:
        landing = self.settings.paths.landing
        with self._cin7() as cin7:
            extract.read_account(cin7, self.warehouse, landing)
        self.lists()
        self.orders()
        self.stock(lambda: None)

    def lists(self) -> None:
        """The nightly job's whole reads of what stock does not change."""
        with self._cin7() as cin7:
            for table in extract.LISTS:
                extract.read_list(cin7, self.warehouse, self.settings.paths.landing, table, full=True)

    def orders(self) -> None:
        """The orders job's readings."""
        with self._cin7() as cin7:
            sales.scan_headers(cin7, self.warehouse, self.settings.paths.landing, full=False)
            sales.read_details(cin7, self.warehouse, self.settings.paths.landing)

    def stock(self, meanwhile: Callable[[], None]) -> tuple[bool, bool]:
        """The stock job. ``meanwhile`` is what happens between the orders and the snapshot.

        Returns whether there is a new trusted snapshot, and whether a new version was published. Raises a `TransportError`
        when a reading cannot be finished; then the job has failed and nothing changes.
        """
        landing = self.settings.paths.landing
        with self._cin7() as cin7:
            try:
                if self.policy == OURS:
                    sales.scan_headers(cin7, self.warehouse, landing, full=False)
                    sales.read_details(cin7, self.warehouse, landing, only_unallocated=True)
            finally:
                meanwhile()
            drop = self._merchant.availability.max_row_drop
            taken = availability.take_snapshot(cin7, self.warehouse, landing, max_row_drop=drop)
        self._build()
        if self.policy == OURS:
            calls = self._merchant.availability.second_look_calls
            with self._cin7() as cin7:
                second_look.take(cin7, self.warehouse, landing, max_calls=calls)
            with self.warehouse.write() as connection:
                factory.build(connection, self._merchant, self._models - _BEFORE_LOOK)
        return taken.trusted, self._publish()

    def _build(self) -> None:
        with self.warehouse.write() as connection:
            if self.policy == OURS:
                factory.build(connection, self._merchant, self._models & _BEFORE_LOOK)
                return
            factory.build(connection, self._merchant, self._models - {"mart.catalogue"} | {"mart.availability"})
            plain = (Path(__file__).parent / "plain.sql").read_text().replace("{figure}", FIGURES[self.policy])
            connection.execute("delete from mart.availability")
            connection.execute(f"insert into mart.availability by name {plain}")
            factory.build(connection, self._merchant, {"mart.catalogue"})
            if self.published:  # its sales are not read again, so neither are their lines
                self._models -= _DOCUMENTS

    def _publish(self) -> bool:
        report = catalogue.publish(
            Delivery("catalogue", self.settings, self.warehouse, self.ledger, "benchmark", dry_run=False)
        )
        if report.refused:
            raise RuntimeError(f"the product file was refused: {report.refused[0].title}")
        self.published += report.sent > 0
        return report.sent > 0

    def collected(self) -> None:
        """Emarsys has fetched the file: the next build knows."""
        project(self.ledger, self.warehouse)

    # What a person does.

    def set_hold(self, number: int, sku: str, units: int, tier: str, since: date) -> None:
        """A hold of the merchant's, written into merchant.toml as the file explains."""
        self._holds[number] = (
            f'\n[[availability.holds]]\nname = "hold {number}"\nsku = "{sku}"\nunits = {units}\n'
            f'for_price_tier = "{tier}"\nfrom = {since}\n'
        )
        self._rewrite()

    def end_hold(self, number: int) -> None:
        self._holds.pop(number)
        self._rewrite()

    def _rewrite(self) -> None:
        self._shipped = self._shipped or (Path(__file__).parent.parent / "merchant.toml").read_text()
        self._toml.write_text(self._shipped + "".join(self._holds.values()))
        self._merchant = load_merchant(self._toml)

    def held(self) -> set[str]:
        """Holds of the circuit breaker that nobody has released yet."""
        with self.warehouse.read() as connection:
            rows = connection.execute(
                "select distinct hold_id from mart.held_flips where released_at is null and ended_at is null"
            ).fetchall()
        return {row[0] for row in rows}

    def release(self, hold: str) -> None:
        release(self.settings, hold, "looked at: the goods are there")


def _needed(model: str, among: set[str]) -> set[str]:
    """What the model is built from, as far as the job builds it, without what the plain figure is put in place of."""
    replaced = {"mart.availability", "mart.confirmations", "mart.held_flips"}
    found, todo = set[str](), {model}
    while todo:
        name = todo.pop()
        found.add(name)
        todo |= (factory.models()[name].depends & among) - replaced - found
    return found


__all__ = ["FIGURES", "OURS", "Line", "TransportError"]
