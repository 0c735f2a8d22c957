"""The demo: a simulated merchant, a first load, a day of business, a second sync, and a tour of what happened.

What belongs here: the order of the acts, and the words of the tour. Every act goes through the same commands and jobs a
user has; what is told comes from the warehouse, the ledger, and the sandbox's judge.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from cin7_emarsys import progress, views
from cin7_emarsys.desk.report import write
from cin7_emarsys.desk.source import Published
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.setup import prepare
from cin7_emarsys.operations import explain
from cin7_emarsys.operations.sync import SyncOutcome, sync
from cin7_emarsys.settings import Settings, load_settings, paths
from cin7_emarsys.warehouse.connections import Warehouse

_MARKER = "demo.txt"


class DemoRefused(Exception):
    """The demo would overwrite something that is not its own."""


def run(console: Console) -> int:
    """Plays all acts and prints the tour. Returns the exit code: 0, or 1 when an act failed."""
    _make_room()
    with _process("sandbox", "--json", "--limits", "fast", "--cin7-port", "0", "--emarsys-port", "0") as sandbox:
        environment = json.loads(_first_line(sandbox))
        os.environ.update(environment)
        os.environ["MERCHANT_TOML"] = str(shutil.copy("merchant.toml", paths().state))
        settings = load_settings()
        return _acts(console, settings, _Judge(environment))


class _Judge:
    """Asks the sandbox what really happened, and makes business happen. No such thing exists at the vendors."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._roots = {name: _origin(environment[f"{name}_BASE_URL"]) for name in ("CIN7", "EMARSYS")}

    def ask(self, vendor: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._roots[vendor] + path, data, {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - always this machine
            return json.load(answer)


def _acts(console: Console, settings: Settings, judge: _Judge) -> int:
    warehouse = Warehouse(database=str(settings.paths.warehouse))
    console.print(Rule("1 · The first load"))
    _setup(console, settings)
    first = _sync(console, "nightly")
    if not first.ok:
        return 1
    with _process("serve", "--port", "0", "--json") as feed:
        address = json.loads(_first_line(feed))["url"]
        _pull(console, judge, address)
        for contact in judge.ask("EMARSYS", "/_sandbox/contacts?limit=20")["contacts"]:
            judge.ask("EMARSYS", "/_sandbox/contacts", {"email": contact["email"], "fields": {"optin": "1"}})

        console.print(Rule("2 · A day at the merchant"))
        shelves = _shelves(judge)
        day = judge.ask("CIN7", "/_sandbox/merchant", {"do": "day"})
        day["events"] += _lying_restocks(warehouse, judge, shelves)
        for deed in day["events"]:
            console.print(f"  · {_sentence(deed)}", highlight=False)
        refunded = next(deed["email"] for deed in reversed(day["events"]) if deed["do"] == "refund")

        console.print(Rule("3 · The second sync"))
        calls = len(_requests(judge, "CIN7"))
        second = _sync(console, "nightly")
        # what came back into stock is confirmed by another snapshot
        if not second.ok or not _sync(console, "stock").ok:
            return 1
        _pull(console, judge, address)
        ledger = Ledger(settings.ledger_url)
        project(ledger, warehouse)  # what Emarsys has just collected
        ledger.close()

        console.print(Rule("4 · What happened"))
        _calls(console, settings, _requests(judge, "CIN7"), calls)
        _wrong_mails(console, warehouse, judge, shelves)
        _refund(console, warehouse, refunded)
        _sent_again(console, warehouse, second)
        _at_emarsys(console, judge)
        _mails(console, judge)
        _complaints(console, second)
    warehouse.publish_copy(settings.paths.published)
    report = write(Published(settings.paths.published), settings.merchant, settings.paths.report)
    console.print(
        Panel(
            f"The operators' pages: [bold]{(report.folder / 'index.html').absolute()}[/bold]\n"
            "The same served, with search and look-up: [bold]cin7-emarsys desk[/bold], then http://127.0.0.1:8704\n"
            "The same data in the Dagster UI: [bold]make dev[/bold], then http://127.0.0.1:3000\n"
            "Any SKU: [bold]cin7-emarsys explain SKU[/bold]   any customer: [bold]cin7-emarsys customer E-MAIL[/bold]   "
            "all that was sent: [bold]cin7-emarsys ledger[/bold]\n"
            "(the commands are in .venv/bin)",
            title="Go on",
            title_align="left",
        )
    )
    return 0


def _make_room() -> None:
    """The demo starts fresh each time, and never on data that is not a demo's."""
    where = paths()
    if Path(".env").exists():
        raise DemoRefused("there is a .env here, so this is a configured place; run the demo in a fresh clone")
    marker = where.state / _MARKER
    if where.warehouse.exists() and not marker.exists():
        raise DemoRefused(
            f"{where.warehouse} holds data that no demo made; run the demo with WAREHOUSE=var-demo/warehouse.duckdb"
        )
    if marker.exists():
        for entry in where.state.iterdir():
            if entry.name != "dagster":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    where.state.mkdir(parents=True, exist_ok=True)
    marker.write_text("This folder was made by `cin7-emarsys demo`, which empties it when it runs again.\n")


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """One of our own commands beside us; ended when the block ends."""
    command = [sys.executable, "-m", "cin7_emarsys.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout:
            process.stdout.close()


def _first_line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"{' '.join(str(part) for part in process.args[1:])} did not start")  # type: ignore[index]
    return line


def _origin(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _setup(console: Console, settings: Settings) -> None:
    made = prepare(settings)
    console.print(f"  setup: {made} fields and events were missing at Emarsys and have been made")


def _sync(console: Console, job: str) -> SyncOutcome:
    with console.status(f"sync {job} …") as status:

        def show(what: str, done: int, total: int | None) -> None:
            status.update(f"sync {job} … {what} {done:,}" + (f" of {total:,}" if total else ""))

        with progress.listen(show):
            outcome = sync(job, full=True)
    console.print(views.runs.summary(outcome))
    return outcome


def _pull(console: Console, judge: _Judge, address: str) -> None:
    pulled = judge.ask("EMARSYS", "/_sandbox/catalog/pull", {"url": address})
    console.print(f"  Emarsys fetched the product file: {pulled['status']}, {pulled.get('rows', 0):,} items")
    for error in pulled.get("errors", [])[:5]:
        console.print(f"    {error}", style="red")


def _requests(judge: _Judge, vendor: str) -> list[dict[str, Any]]:
    answer = judge.ask(vendor, "/_sandbox/requests?limit=1000000")
    return [call for call in answer["requests"] if "/_sandbox" not in call["path"]]


def _sentence(deed: dict[str, Any]) -> str:
    about = " ".join(str(deed[name]) for name in ("order_number", "sku", "customer") if deed.get(name))
    number = f" × {deed['quantity']:g}" if isinstance(deed.get("quantity"), float) else ""
    return f"{deed['why']}: {about}{number}"


def _calls(console: Console, settings: Settings, calls: list[dict[str, Any]], first: int) -> None:
    second = len(calls) - first
    console.print(
        Panel(
            f"Cin7 allows 60 calls a minute; we pace at 50. The first load took {first:,} calls "
            f"({first / 50:,.0f} minutes at the real pace), the second sync {second:,} ({second / 50:,.1f} minutes). "
            "This sandbox does not hold us to it; `sandbox --limits real` does.",
            title="Calls",
            title_align="left",
        )
    )


def _shelves(judge: _Judge) -> dict[str, tuple[Decimal, Decimal]]:
    """SKU → units on hand anywhere, and units that the merchant would really ship; from its own books."""
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for row in judge.ask("CIN7", "/_sandbox/ledger?limit=1000000")["rows"]:
        units = found.get(row["sku"], (Decimal(0),))[0] + Decimal(str(row["on_hand"]))
        found[row["sku"]] = (units, Decimal(str(row["sellable_truth"])))
    return found


def _lying_restocks(
    warehouse: Warehouse, judge: _Judge, shelves: dict[str, tuple[Decimal, Decimal]]
) -> Iterator[dict[str, Any]]:
    """Goods come in for three sold-out items, and nothing of it is for sale: quarantine, an open order, wholesale."""
    with warehouse.read() as connection:
        sold_out = [row["item"] for row in explain.fetch(connection, "demo_sold_out")]
    empty = [sku for sku in sold_out if shelves.get(sku, (0,))[0] == 0]
    if len(empty) < 3:
        raise RuntimeError("the sandbox has no three items that are sold out")
    inspected, ordered, held = empty[:3]

    def do(why: str, **deed: Any) -> dict[str, Any]:
        return {"why": why, **judge.ask("CIN7", "/_sandbox/merchant", deed)}

    yield do("goods in, to be inspected", do="receive", sku=inspected, quantity=25, location="Quarantine")
    yield do("ordered while sold out, not allocated", do="order", sku=ordered, quantity=12, allocate=False)
    yield do("goods in, all of them for that order", do="receive", sku=ordered, quantity=12)
    yield do("goods in for wholesale", do="receive", sku=held, quantity=30)
    yield do("set aside for wholesale, and so written in merchant.toml", do="hold", sku=held, quantity=30)
    with Path(os.environ["MERCHANT_TOML"]).open("a") as policy:
        policy.write(
            f'\n[[availability.holds]]\nname = "Wholesale"\nsku = "{held}"\nunits = 30\nfor_price_tier = "Wholesale"\n'
            f"from = {datetime.now(UTC):%Y-%m-%d}\n"
        )


def _wrong_mails(
    console: Console, warehouse: Warehouse, judge: _Judge, before: dict[str, tuple[Decimal, Decimal]]
) -> None:
    """What a sync of on hand would have announced, measured on the merchant's own books, and what ours said."""
    back = {sku: now for sku, now in _shelves(judge).items() if now[0] > 0 and before.get(sku, (0,))[0] <= 0}
    wrong = sorted(sku for sku, (_, truth) in back.items() if truth < 1)
    mails = judge.ask("EMARSYS", "/_sandbox/mails?limit=100000")["mails"]
    announced = {mail["sku"] for mail in mails if mail["kind"] == "back_in_stock"}
    with warehouse.read() as connection:
        facts = [explain.explain_sku(connection, sku) for sku in wrong]
    if facts:
        console.print(views.stock.explanation(facts[0]))
    rows = (
        (fact["sku"], f"{back[fact['sku']][0]:g}", f"{back[fact['sku']][1]:g}", fact["waterfall"]["ats"], fact["why"])
        for fact in facts
    )
    console.print(
        Panel(
            views.grid(("item", "on hand", "truly for sale", "ours", "held because"), rows, right=("on hand", "ours")),
            title=f"A sync of on hand would have mailed for {len(wrong)} items it could not sell; "
            f"ours mailed for {len(announced & set(wrong))} of them",
            title_align="left",
        )
    )


def _refund(console: Console, warehouse: Warehouse, email: str) -> None:
    with warehouse.read() as connection:
        facts = explain.explain_customer(connection, email)
    console.print(views.people.statement(facts))
    refunds = [document for document in facts["documents"] if document["document_kind"] == "credit_note"]
    before = facts["ltv"] - refunds[-1]["amount"] if refunds else facts["ltv"]
    console.print(
        f"  lifetime value before the refund {before:,.2f}, now {facts['ltv']:,.2f} {facts['currency']}", style="bold"
    )


def _sent_again(console: Console, warehouse: Warehouse, second: SyncOutcome) -> None:
    with warehouse.read() as connection:
        changes = explain.fetch(connection, "sent_by_run", run_id=second.run_id)
    items = second.assets.get("emarsys/catalogue", {}).get("sent", 0)
    console.print(
        Panel(
            views.grid(
                ("flow", "record", "outcome", "why"),
                ((row["flow"], row["shown"], row["outcome"], row["why"]) for row in changes[:40]),
            ),
            title=f"Sent the second time: {len(changes)} records that differ from what Emarsys has, and a new product "
            f"file because {items} items changed",
            title_align="left",
        )
    )


def _at_emarsys(console: Console, judge: _Judge) -> None:
    totals = {name: judge.ask("EMARSYS", f"/_sandbox/{name}?limit=1")["total"] for name in _HELD}
    console.print(
        Panel(
            views.grid(
                ("asked from the sandbox", "held"), ((_HELD[n], f"{t:,}") for n, t in totals.items()), right=("held",)
            ),
            title="What Emarsys holds now",
            title_align="left",
        )
    )


_HELD = {"contacts": "contacts", "catalogue": "catalogue items", "sales": "sales lines", "events": "events"}


def _mails(console: Console, judge: _Judge) -> None:
    mails = judge.ask("EMARSYS", "/_sandbox/mails?limit=100000")["mails"]
    kinds: dict[tuple[str, str], int] = {}
    for mail in mails:
        about = (mail["kind"].replace("_", " "), str(mail.get("sku") or mail.get("event")))
        kinds[about] = kinds.get(about, 0) + 1
    console.print(
        Panel(
            views.grid(
                ("mail", "about", "people"), ((*about, count) for about, count in kinds.items()), right=("people",)
            )
            if kinds
            else Text("none"),
            title="Mails Emarsys would have sent",
            title_align="left",
        )
    )


def _complaints(console: Console, second: SyncOutcome) -> None:
    if second.failed_checks:
        console.print(
            Panel(views.runs.checks(second), title="Checks that complain, and what to do", title_align="left")
        )
