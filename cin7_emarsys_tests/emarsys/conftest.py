"""A fresh simulated account for each test, behind one real server, and a warehouse whose mart is filled by hand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import select
from starlette.types import ASGIApp, Receive, Scope, Send

from cin7_emarsys.cin7.load import ensure_tables
from cin7_emarsys.emarsys import catalogue
from cin7_emarsys.emarsys.answers import ACCEPTED
from cin7_emarsys.emarsys.contacts import deliver_contacts
from cin7_emarsys.emarsys.delivery import Delivery, Report
from cin7_emarsys.emarsys.events import deliver_events
from cin7_emarsys.emarsys.ledger import Intended, Ledger
from cin7_emarsys.emarsys.projection import ensure_delivery_tables
from cin7_emarsys.emarsys.sales import deliver_sales
from cin7_emarsys.emarsys.setup import prepare
from cin7_emarsys.emarsys.tables import batches, records
from cin7_emarsys.merchant import load_merchant
from cin7_emarsys.sandbox import cin7, emarsys
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.control import control_routes
from cin7_emarsys.sandbox.faults import Faults
from cin7_emarsys.sandbox.server import Protocol
from cin7_emarsys.settings import Settings, load_settings
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import trouble

Row = dict[str, Any]
FLOWS: dict[str, Callable[[Delivery], Report]] = {
    "contacts": deliver_contacts,
    "catalogue": catalogue.publish,
    "sales": deliver_sales,
    "events": deliver_events,
}
PATHS = {"contacts": "/contact/?", "sales": "/sales-data", "events": "/trigger"}
POLICY = """
armed = true
[availability]
sellable_locations = ["Main Warehouse"]
[orders]
settle_minutes = 0
history_sales_data = true
[contacts]
write_opt_out = false
[events.order_shipped]
name = "cin7_order_shipped"
[emarsys]
sales_header = ["item", "price", "order", "timestamp", "email", "quantity"]
[delivery]
back_off_seconds = 0
[catalogue]
max_shrink = 0.5
"""
LOOKED_AT = (
    "raw.watermarks", "raw.snapshots", "raw.sale_queue", "policy.settings", "mart.documents", "mart.contacts",
    "mart.sales_lines", "mart.order_events", "mart.catalogue", "reconciliation.drift", "staging.sent_contacts",
)  # fmt: skip
DERIVED = ["ltv", "last_refund_date"]
# Faults after which nobody knows whether it was applied.
UNKNOWN = ["applied-then-503", "reset-before", *trouble("reset-after", "html-200")]


_processes = multiprocessing.get_context("forkserver")  # a clean process that has the imports behind it
_processes.set_forkserver_preload([__name__])


def _export(flow: str, environment: Mapping[str, str], folder: str) -> None:
    """One export in a process of its own, which shares nothing with the test but files and the vendor."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    settings = load_settings()
    warehouse = Warehouse(database=str(settings.paths.warehouse))
    FLOWS[flow](Delivery(flow, settings, warehouse, Ledger(settings.ledger_url), "run", dry_run=False))


class Swapped:
    """An ASGI app that forwards to the app of the running test."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def vendor() -> Iterator[tuple[str, Swapped]]:
    """The address of one server for the session."""
    swapped = Swapped()
    config = uvicorn.Config(
        swapped, host="127.0.0.1", port=0, lifespan="off", ws="none", http=Protocol, log_level="critical",
        date_header=False, server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    running = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()), daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}", swapped
    running.should_exit = True
    thread.join()


class Account:
    """The simulated account of one test: `environment` for a client, `judge` and `control` for the test."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self._http = http
        self.environment = {
            "CIN7_BASE_URL": f"{url}/ExternalApi/v2",
            **cin7.CREDENTIALS,
            "EMARSYS_BASE_URL": f"{url}/api",
            "EMARSYS_TOKEN_URL": f"{url}/oauth2/token",
            "EMARSYS_HAPI_URL": f"{url}/hapi",
            "EMARSYS_CLOUD_URL": f"{url}/ec",
            "EMARSYS_CALLS_PER_MINUTE": "30000",
            "EMARSYS_WINDOW_SECONDS": "0.2",
            **emarsys.CREDENTIALS,
        }

    def judge(self, name: str) -> list[Row]:
        answer = self._http.get(f"/_sandbox/{name}", params={"limit": 10_000})
        assert answer.status_code == 200, answer.text
        content = answer.json()
        return list(next(value for value in content.values() if isinstance(value, list)))

    def control(self, name: str, body: Any = None, method: str = "POST") -> Any:
        answer = self._http.request(method, f"/_sandbox/{name}", json={} if body is None else body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, name: str, flow: str, **more: Any) -> None:
        """The next call of this flow meets a fault (`more` changes which)."""
        spec = {"name": name, "service": "emarsys", "path": PATHS[flow], "nth": 1, **more}
        self.control("faults", [spec], "PUT")

    def contacts(self) -> dict[str, Row]:
        return {row["email"]: row["fields"] for row in self.judge("contacts")}

    def writes(self, flow: str) -> int:
        """Calls of a flow that wrote something, or tried to."""
        return sum(
            PATHS[flow].rstrip("?") in row["path"] and "getdata" not in row["path"] for row in self.judge("requests")
        )


@pytest.fixture
def account(vendor: tuple[str, Swapped]) -> Iterator[Account]:
    url, swapped = vendor
    clock, faults = Clock(), Faults()
    swapped.app = emarsys.create_app(
        clock=clock, faults=faults, seed=1, calls_per_window=None, window_seconds=0.2,
        control_routes=control_routes(clock, faults, lambda *_: {}),
    )  # fmt: skip
    with httpx.Client(base_url=url, trust_env=False, verify=False) as http:  # plain http: no certificates to read
        yield Account(url, http)


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables that delivery and its gates look at, as the warehouse makes them, with a first reading done and a
    snapshot to trust; the others are taken out, because opening a file with few tables is quick."""
    folder = tmp_path_factory.mktemp("empty")
    whole, file = (Warehouse(database=str(folder / name)) for name in ("whole.duckdb", "warehouse.duckdb"))
    with whole.write() as connection:
        ensure_tables(connection)
        ensure_delivery_tables(connection)
        (folder / "merchant.toml").write_text(POLICY)
        factory.build(connection, load_merchant(folder / "merchant.toml"))
        connection.execute("insert into raw.watermarks (entity, completed_at) values ('baseline', '2026-11-01')")
        connection.execute(
            "insert into raw.snapshots (snapshot_id, taken_at, trusted) values ('s', '2026-11-01', true)"
        )
    with file.write() as connection:
        ensure_delivery_tables(connection)
        connection.execute(f"attach '{whole.database}' as whole (read_only)")
        for table in LOOKED_AT:
            connection.execute(f"create table {table} as from whole.{table}")
    return Path(file.database)


def fill(warehouse: Warehouse, table: str, *rows: Mapping[str, Any]) -> None:
    """The only rows of a table; columns that are not given are null."""
    file = Path(warehouse.database).with_name("rows.ndjson")
    file.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    with warehouse.write() as connection:
        columns = connection.execute(f"describe {table}").fetchall()
        unknown = {name for row in rows for name in row} - {name for name, *_ in columns}
        assert not unknown, f"{table} has no {unknown}"
        connection.execute(f"delete from {table}")
        typed = ", ".join(f"'{name}': '{kind}'" for name, kind, *_ in columns)
        if rows:
            read = f"read_json('{file}', format = 'newline_delimited', columns = {{{typed}}})"
            connection.execute(f"insert into {table} by name select * from {read}")


class Project:
    """Settings, warehouse and ledger of one test, and what the mart should say."""

    def __init__(self, state: Path, account: Account, change: Callable[..., None]) -> None:
        self.state, self.account, self._change = state, account, change
        self.warehouse = Warehouse(database=str(state / "warehouse.duckdb"), connection_config={"threads": 1})
        self.policy()
        self.ledger = Ledger(self.settings.ledger_url)

    @property
    def settings(self) -> Settings:
        return self._settings

    def reload(self) -> None:
        self._settings = load_settings()

    def policy(self, *changes: tuple[str, str]) -> None:
        """The policy of these tests with pieces of its text replaced."""
        text = POLICY
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        file = self.state / "merchant.toml"
        file.write_text(text)
        self._change("MERCHANT_TOML", str(file))
        self.reload()

    def fill(self, table: str, *rows: Mapping[str, Any]) -> None:
        fill(self.warehouse, table, *rows)

    def contacts(self, *rows: Row) -> None:
        self.fill("mart.contacts", *rows)

    def run(self, flow: str, *, dry_run: bool = False, **overrides: str) -> Report:
        """One export, as the asset runs it (`overrides`: guard → reason); checks that the ledger conserves."""
        delivery = Delivery(
            flow, self.settings, self.warehouse, self.ledger, "run", dry_run=dry_run, overrides=overrides
        )
        try:
            return FLOWS[flow](delivery)
        finally:
            self.conserved()

    def prepare(self) -> int:
        return prepare(self.settings)

    def known(self, *emails: str) -> None:
        """An account with all fields and events in which these contacts were accepted, as an export would leave it."""
        merchant, control = self.settings.merchant, self.account.control
        for field in merchant.contacts.field_map:
            if field.string_id.startswith("cin7_"):
                kind = {"text": "longtext"}.get(field.type, field.type)
                control("fields", {"name": field.string_id, "application_type": kind, "string_id": field.string_id})
        for event in merchant.events.values():
            control("events", {"name": event.name})
        rows = [contact(email) for email in emails]
        self.contacts(*rows)
        items = []
        for row in rows:
            control("contacts", {"email": row["email"], "fields": row["attributes"]})
            digest = hashlib.md5((row["payload_hash"] + merchant.contacts.fingerprint).encode()).hexdigest()
            items.append(Intended(row["email"], json.dumps(row["attributes"]), digest))
        at = datetime.now(UTC).replace(tzinfo=None)
        batch = self.ledger.intend("contacts", "PUT contact", "earlier", items, b"", at)
        self.ledger.close_batch(batch, dict.fromkeys(emails, ACCEPTED), at, status=200)

    def crash(self, flow: str, point: str) -> int | None:
        """The export in a process of its own that is killed at a point; its exit code."""
        process = _processes.Process(target=_export, args=(flow, {**os.environ, "CRASH_AT": point}, str(Path.cwd())))
        process.start()
        process.join(60)
        return process.exitcode

    def records(self, flow: str) -> list[Row]:
        with self.ledger.engine.connect() as connection:
            found = connection.execute(select(records).where(records.c.flow == flow).order_by(records.c.record_id))
            return [dict(row._mapping) for row in found]

    def outcomes(self, flow: str) -> list[tuple[str, str]]:
        return [(row["key"], row["outcome"]) for row in self.records(flow)]

    def conserved(self) -> None:
        """Every batch is closed, and each of its records has a fate, in the ledger and in the warehouse alike."""
        with self.ledger.engine.connect() as connection:
            every = connection.execute(select(batches.c.batch_id, batches.c.records, batches.c.state)).all()
            fates = connection.execute(select(records.c.batch_id, records.c.outcome)).all()
        for batch, sent, state in every:
            assert state == "closed"
            assert sent == sum(of == batch and outcome is not None for of, outcome in fates)
        with self.warehouse.read() as reading:
            found = reading.execute("select count(*), count(outcome) from delivery.records").fetchone()
        assert found == (len(fates), len(fates))


@pytest.fixture
def work(
    account: Account,
    in_project: Callable[[dict[str, str]], Path],
    empty_warehouse: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Project]:
    state = in_project(account.environment)
    state.mkdir(parents=True)
    shutil.copyfile(empty_warehouse, state / "warehouse.duckdb")
    made = Project(state, account, monkeypatch.setenv)
    yield made
    made.ledger.close()


def figures(report: Report) -> dict[str, int]:
    names = ("sent", "accepted", "rejected", "retryable", "unknown", "waiting", "frozen", "unchanged")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def sold(work: Project) -> list[tuple[str, str, float, float]]:
    lines = work.account.judge("sales")
    return sorted((line["order"], line["item"], line["price"], line["quantity"]) for line in lines)


# Rows of the mart, in few words.


def contact(email: str, consent: str = "unknown", payload_hash: str | None = None, **attributes: str | None) -> Row:
    given = {"first_name": email.partition("@")[0].capitalize(), **attributes}
    return {
        "email": email,
        "attributes": given,
        "derived": DERIVED,
        "consent": consent,
        "payload_hash": payload_hash or json.dumps([email, given, consent], sort_keys=True),
    }


def sales_line(document: str, item: str, price: float | str, quantity: float | str = 1, **more: Any) -> Row:
    kind = "credit_note" if str(price).startswith("-") else "invoice"
    row = {"document_kind": kind, "document_id": document, "item": item, "price": price, "quantity": quantity}
    return row | {"order": f"SO-{document}", "timestamp": "2026-11-20", "email": "ana@example.com"} | more


def moment(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def order_event(trigger: str, event: str = "order_shipped", **more: Any) -> Row:
    row = {"trigger_id": trigger, "event": event, "email": "ana@example.com", "fact_at": moment(-1)}
    row |= {"kind": "marketing" if event.endswith("purchase") else "transactional"}
    return row | {"deadline_at": moment(20), "data": {"order": f"SO-{trigger}", "lines": []}} | more


def product(item: str, **more: Any) -> Row:
    row: Row = {
        "item": item,
        "product_id": f"p-{item}",
        "title": f"The {item}",
        "link": f"https://shop.example.com/{item}",
    }
    row |= {"image": "", "category": "Things", "available": True, "price": "10.00", "c_stock": 5, "c_low_stock": 5}
    row |= {"image": f"https://shop.example.com/{item}.png", "c_stock_state": "in_stock"} | more
    return row | {"payload_hash": json.dumps(row, default=str, sort_keys=True)}
