"""A small merchant with something on every page of the desk, and the copy of its warehouse that readers see."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import uvicorn

from cin7_emarsys.desk.app import create_app
from cin7_emarsys.desk.source import Facts, Published
from cin7_emarsys.emarsys.projection import _END_HISTORY, _GO_ON_WITH_HISTORY, ensure_delivery_tables
from cin7_emarsys.merchant import Merchant
from cin7_emarsys.operations.exceptions import classes
from cin7_emarsys.warehouse import exceptions
from cin7_emarsys.warehouse.factory import models
from cin7_emarsys_tests.warehouse.test_availability import STOCK
from cin7_emarsys_tests.warehouse.world import Row, World, credit_note, invoice, line, order, part

MORNING = "2026-11-24 08:00:00"
LATER = "2026-11-24 11:45:00"
NOON = "2026-11-24 12:00:00"
NOW = datetime(2026, 11, 24, 12, 10)
POLICY = {
    "armed": True,
    "availability": {"sellable_locations": ["Main"], "blocked_bins": ["DAMAGED"], "confirmations": 2},
}


class Shop(World):
    """A world with the ledger's own tables, so that what was sent and collected can be put into them."""

    def __init__(self) -> None:
        super().__init__(**POLICY)
        for name in ("catalogue_items", "catalogue_collected", "records", "delivered", "publications"):
            self.connection.execute(f"drop table delivery.{name}")
        ensure_delivery_tables(self.connection)

    @property
    def facts(self) -> Facts:
        return Facts(self.connection, NOW)

    def publish(self, version: int, at: str, collected: str | None) -> Shop:
        """Puts the catalogue as it is into the product file, which Emarsys fetches at once or not yet."""
        self.put(
            "delivery.publications", {"version": version, "published_at": at, "collected_at": collected, "rows": 9}
        )
        for table in ("catalogue_items", *(["catalogue_collected"] if collected else [])):
            self.connection.execute(f"delete from delivery.{table}")
            self.connection.execute(
                f"insert into delivery.{table} by name select item, product_id, available, price, c_stock, c_low_stock, "
                f"c_stock_state, payload_hash, {version} as version from mart.catalogue"
            )
        for statement, given in ((_END_HISTORY, [version]), (_GO_ON_WITH_HISTORY, None)):
            self.connection.execute(statement, given)
        return self

    def send(self, batch: int, flow: str, at: str, outcome: str, key: str, payload: Row, **more: object) -> Shop:
        """One batch of one record, with its fate."""
        counts = {name: int(name == outcome) for name in ("accepted", "rejected", "retryable", "unknown")}
        times = {"created_at": at, "connecting_at": at, "closed_at": at}
        whole = {"batch_id": batch, "flow": flow, "records": 1, "changed_seq": batch, "status": 200, "seconds": 0.21}
        self.put("delivery.batches", whole | counts | times)
        row = {"record_id": batch, "batch_id": batch, "flow": flow, "key": key, "payload": payload, "outcome": outcome}
        self.put("delivery.records", row | {"at": at} | more)
        if outcome == "accepted":
            self.put(
                "delivery.delivered",
                {"flow": flow, "key": key, "payload": payload, "batch_id": batch, "accepted_at": at},
            )
        return self


def _shop() -> Shop:
    shop = Shop()
    shop.product("TENT").product("RAIN").product("LAMP").product("MUG").product("JAR", PriceTier1=12).product(
        "GIFT", Type="Service"
    )
    shop.kit("SET", part("MUG", 2), part("JAR"))
    shop.product("=1+1", Name='<b>bold</b> & "quoted"')
    contact = {"ID": "K-1", "Name": "Ana Lee", "Email": "ana@example.com", "Default": True, "MarketingConsent": 1}
    shop.put(
        "raw.customers",
        {"ID": "C-1", "Name": "Ana Lee", "Status": "Active", "LastModifiedOn": MORNING, "Contacts": [contact]},
        {"ID": "C-2", "Name": "No Mail", "Status": "Active", "LastModifiedOn": MORNING, "Contacts": []},
    )
    for entity in ("sale_headers", "customers", "products"):
        shop.put("raw.watermarks", {"entity": entity, "watermark": MORNING, "completed_at": NOON})
    stock = [
        {"sku": "TENT", "on_hand": 0},
        {"sku": "RAIN", "on_hand": 0},
        {"sku": "LAMP", "on_hand": 5, "Bin": "DAMAGED"},
        {"sku": "MUG", "on_hand": 9, "Allocated": 2},
        {"sku": "JAR", "on_hand": 3, "Allocated": 7},
    ]
    shop.snapshot("n1", MORNING, stock).build(*STOCK).publish(1, MORNING, MORNING)
    shop.sale(
        "s1", Order=order(line("MUG", 2)), Invoices=[invoice("i1", line("MUG", 2))],
        CreditNotes=[credit_note("c1", line("MUG", 1))],
    )  # fmt: skip
    stock[0] = {"sku": "TENT", "on_hand": 6}
    shop.snapshot("n2", LATER, stock).build(*STOCK)
    stock[1] = {"sku": "RAIN", "on_hand": 4}
    shop.snapshot("n3", NOON, stock).build().publish(2, NOON, None)
    sold = {"item": "MUG", "order": "SO-s1", "quantity": "2", "email": "ana@example.com"}
    told = {"external_id": "ana@example.com", "data": {"order": "SO-s1"}}
    shop.send(1, "contacts", NOON, "accepted", "ana@example.com", {"cin7_ltv": "10"})
    accepted = (
        f"select md5(payload_hash || '{shop.merchant.contacts.fingerprint}') from mart.contacts where email = key"
    )
    shop.connection.execute(f"update delivery.delivered set payload_hash = ({accepted})")
    shop.send(2, "sales", NOON, "unknown", "invoice:i1+1", sold)
    shop.send(3, "events", NOON, "rejected", "order_shipped:s1:1", told, code="2008")
    compared = [name for name in models() if name.startswith("reconciliation.")]
    shop.build(*compared)
    looked_at = ("negative_availability", "unknown_outcomes", "orphan_customers_at_emarsys", "held_changes")
    exceptions.record(shop.connection, [classes()[name] for name in looked_at], shop.merchant)
    return shop


@pytest.fixture(scope="session")
def shop() -> Shop:
    """The merchant at noon; only for reading."""
    return _shop()


@pytest.fixture(scope="session")
def copy(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published copy."""
    return save(shop, tmp_path_factory.mktemp("copy") / "published.duckdb")


def save(world: World, file: Path) -> Path:
    """The whole world as a file of DuckDB."""
    world.connection.execute(f"attach '{file}' as saved")
    world.connection.execute("copy from database memory to saved")
    world.connection.execute("detach saved")
    return file


@pytest.fixture(scope="session")
def policy(shop: Shop) -> Merchant:
    return shop.merchant


@contextmanager
def serving(published: Published, merchant: Merchant) -> Iterator[str]:
    """The desk on a free port of this machine; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(create_app(published, merchant), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            published.close()


@pytest.fixture(scope="session")
def desk(copy: Path, policy: Merchant) -> Iterator[str]:
    """Address of a desk over the copy."""
    with serving(Published(copy), policy) as address:
        yield address
