"""Any sequence of changes, deliveries, faults, failures, resolutions, replays and erasures: where it ends is known.

The model is a few dictionaries: what the merchant wants said of each contact, document and event, and what a person let go
again although Emarsys had it. At the end of a sequence the faults are over, what is parked is resolved by what Emarsys
holds, and Emarsys holds what the model says.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from benchmarks.faults import DELIVERING, IN_DOUBT, PATHS
from benchmarks.trial import FAILURES, Trial, Vendors, deliver, entered, fail, judge, named
from cin7_emarsys.emarsys import deletion, erasure, repair, replay
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.tables import batches, records
from cin7_emarsys.erased import Erased
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import law
from cin7_emarsys_tests.emarsys.conftest import contact, fill, moment, order_event, product, sales_line

PEOPLE = ("ana@example.com", "ben@example.com", "cem@example.com")
ACCOUNTS: tuple[dict[str, Any], ...] = (
    {},
    {"interactions": True, "campaign_deduplication": False},
    {"interactions": True, "program_events": ["cin7_order_shipped"], "campaign_deduplication": False},
    {"invalid_value_scope": "batch", "errors_empty_shape": "array", "content_type_html": True},
)
PERMISSIONS = {"contacts": "contact.update", "events": "externalevent.trigger"}
FAULTS = (*IN_DOUBT, "throttle-429", "throttle-503", "auth-expired", "error-200", "partial-reject")
people, flows = st.sampled_from(PEOPLE), st.sampled_from(tuple(PATHS))
amounts, dates = st.sampled_from((None, "0.00", "12.50", "99.99")), st.sampled_from((None, "2026-11-01", "2026-11-20"))
lines = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from((10, 5.5, -4))), max_size=3)


class Sequence(RuleBasedStateMachine):
    """A merchant of three persons, four documents and a handful of events."""

    def __init__(self, vendors: Vendors, empty: Path, modes: tuple[str, ...]) -> None:
        super().__init__()
        self.vendors, self.modes = vendors, modes
        self.state = Path(mkdtemp(dir=empty.parent))
        shutil.copyfile(empty, self.state / "warehouse.duckdb")
        self.exits = ExitStack()
        self.vendors.fresh()
        self.exits.enter_context(entered(self.state, vendors))
        self.trial = Trial(vendors)
        self.exits.callback(self.trial.close)
        self.warehouse = Warehouse(database=str(self.state / "warehouse.duckdb"))
        fill(self.warehouse, "mart.catalogue", product("A"))
        self.contacts: dict[str, dict[str, str | None]] = {}
        self.consents: dict[str, str] = {}
        self.documents: dict[str, tuple[str, list[tuple[str, float]]]] = {}
        self.events: dict[str, tuple[str, str]] = {}
        self.again: Counter[str] = Counter()
        self.gone: dict[str, list[int]] = {}

    @initialize(account=st.sampled_from(ACCOUNTS), consents=st.lists(people, unique=True, max_size=2))
    def open(self, account: dict[str, Any], consents: list[str]) -> None:
        self.trial.opened()
        self.vendors.control("switches", account)
        for email in PEOPLE:
            self.changes(email, None, None)
        for email in consents:
            self.agrees(email, agrees=True)
        self.delivers("contacts")

    # What the merchant and the people do.

    @rule(email=people, ltv=amounts, refund=dates)
    def changes(self, email: str, ltv: str | None, refund: str | None) -> None:
        self.contacts[email] = {"ltv": ltv, "last_refund_date": refund}
        self.wants_contacts()

    @rule(number=st.integers(0, 3), wanted=lines)
    def bills(self, number: int, wanted: list[tuple[str, float]]) -> None:
        """A document as it is by now: new, corrected, refunded or voided (no lines)."""
        self.documents[f"d{number}"] = (PEOPLE[number % 3], wanted)
        self.wants_lines()

    @rule(email=people, kind=st.sampled_from(("order_shipped", "refund_issued", "repeat_purchase")))
    def tells(self, email: str, kind: str) -> None:
        self.events[f"t{len(self.events)}"] = (kind, email)
        self.wants_events()

    @rule(email=people, agrees=st.booleans())
    def agrees(self, email: str, agrees: bool) -> None:
        if email not in self.gone:
            self.consents[email] = "1" if agrees else "2"
            self.vendors.control("contacts", {"email": email, "fields": {"optin": self.consents[email]}})

    # The mart as the models would make it: nothing of whom was erased.

    def wants_contacts(self) -> None:
        given = {email: given for email, given in self.contacts.items() if email not in self.gone}
        fill(self.warehouse, "mart.contacts", *(contact(email, "unknown", None, **had) for email, had in given.items()))

    def wants_lines(self) -> None:
        rows = [
            sales_line(name, item, price, -1 if price < 0 else 1, email=email, document_kind="invoice")
            for name, (email, wanted) in self.documents.items()
            for item, price in wanted
            if email not in self.gone
        ]
        fill(self.warehouse, "mart.sales_lines", *rows)

    def wants_events(self) -> None:
        rows = [
            order_event(name, kind, email=email, deadline_at=moment(5000))
            for name, (kind, email) in self.events.items()
            if email not in self.gone
        ]
        fill(self.warehouse, "mart.order_events", *rows)

    # What runs, and what goes wrong.

    @rule(flow=flows)
    def delivers(self, flow: str) -> None:
        try:
            deliver(self.trial.settings, flow)
        except FAILURES:
            return
        with self.trial.ledger.engine.connect() as connection:
            still = select(func.count()).where(batches.c.flow == flow, batches.c.state != "closed")
            assert connection.execute(still).scalar_one() == 0

    @rule(flow=flows, name=st.sampled_from(FAULTS), times=st.sampled_from((1, 2, 9)), nth=st.integers(1, 2))
    def fails(self, flow: str, name: str, times: int, nth: int) -> None:
        """The next calls of a flow meet a fault, and it is delivered."""
        if name != "partial-reject" or flow != "sales":
            spec = {"name": name, "service": "emarsys", "path": PATHS[flow], "nth": nth, "times": times}
            self.vendors.faults.set([spec])
        self.delivers(flow)

    @rule(flow=st.sampled_from(tuple(PERMISSIONS)))
    def forbids(self, flow: str) -> None:
        """The next delivery of a flow lacks its permission; what fails on the way may fail as well."""
        name = PERMISSIONS[flow]
        self.vendors.control("switches", {"permissions": {name: False}})
        self.delivers(flow)
        self.vendors.control("switches", {"permissions": {name: True}})

    @rule(flow=flows, point=st.sampled_from(DELIVERING), mode=st.integers(0, 2), nth=st.sampled_from(("", "@2")))
    def dies(self, flow: str, point: str, mode: int, nth: str) -> None:
        """A run of a flow that ends at a point, if it gets there."""
        with suppress(*FAILURES):
            fail(flow, f"{point}{nth}", self.modes[mode % len(self.modes)])

    @rule(seconds=st.sampled_from((60, 1900, 4000)))
    def passes(self, seconds: int) -> None:
        self.vendors.clock.advance(seconds)

    # What a person does.

    @rule()
    def resolves(self) -> None:
        self.vendors.faults.set([])
        self.delivers("sales")
        self.delivers("events")
        self.trial.resolve()

    @rule(place=st.integers(0, 9), verbatim=st.booleans())
    def replays(self, place: int, verbatim: bool) -> None:
        """An accepted batch goes again."""
        with self.trial.ledger.engine.connect() as connection:
            asked = select(records.c.batch_id, records.c.flow).where(replay.Chosen().condition()).distinct()
            found = connection.execute(asked.order_by(records.c.batch_id)).all()
        if not found:
            return
        batch, flow = found[place % len(found)]
        chosen = replay.Chosen(batch=batch, flow=flow)
        for record in replay.preview(self.trial.ledger, chosen)["records"] if flow != "contacts" else []:
            self.trial.twice[named(flow, record["payload"])] += 1
            self.again[record["key"]] += flow == "events"
        with suppress(*FAILURES):
            if verbatim and flow != "events":
                settings = self.trial.settings
                delivery = Delivery(flow, settings, self.warehouse, self.trial.ledger, None, dry_run=False)
                replay.verbatim(delivery, chosen, "Emarsys lost it")
            else:
                replay.mark(self.trial.ledger, chosen, "Emarsys lost it", "replay --recomputed", repair.now())

    @precondition(lambda self: len(self.gone) < 2)
    @rule(email=people)
    def erases(self, email: str) -> None:
        """Deleted at Emarsys, and erased from the ledger, whatever of hers is under way."""
        if email in self.gone:
            return
        self.vendors.faults.set([])
        erased = Erased(self.state)
        erased.add([email])
        ledger, settings = self.trial.ledger, self.trial.settings
        delivery = Delivery(deletion.FLOW, settings, self.warehouse, ledger, None, dry_run=False)
        deletion.delete_contacts(delivery, erased, [email])
        assert delivery.report.accepted == 1
        erasure.erase(ledger, erased, [email], "she asked", repair.now())
        project(ledger, self.warehouse)
        self.gone[email] = self.hers(email)
        self.wants_contacts()
        self.wants_lines()
        self.wants_events()

    def hers(self, email: str) -> list[int]:
        """Sales lines and mails that ever went to an address."""
        return [sum(row["email"] == email for row in self.vendors.judge(what)) for what in ("sales", "mails")]

    # What must hold.

    @invariant()
    def no_event_goes_twice(self) -> None:
        told = Counter(row["trigger_id"] for row in self.vendors.judge("events") if not row["deduplicated"])
        assert {name: times for name, times in told.items() if times > 1 + self.again[name]} == {}

    def teardown(self) -> None:
        try:
            if self.contacts:
                self.ends()
        finally:
            self.exits.close()
            shutil.rmtree(self.state)

    def ends(self) -> None:
        self.vendors.faults.set([])
        self.trial.quiet()
        self.trial.resolve()
        self.trial.quiet()
        held = judge(self.vendors, self.trial.settings)
        fields = {row["email"]: row["fields"] for row in self.vendors.judge("contacts")}
        assert fields == {email: self.expected(email) for email in PEOPLE if email not in self.gone}
        assert self.sums(held.sales) == self.owed()
        assert {email: self.hers(email) for email in self.gone} == self.gone
        told = Counter(trigger for trigger, _, _ in held.events.elements())
        for name, (kind, email) in self.events.items():
            if email in self.gone:
                continue
            agreed = kind != "repeat_purchase" or self.consents.get(email) == "1"
            assert (1 if agreed else 0) <= told[name] <= 1 + self.again[name], (name, told[name])
        with self.trial.ledger.engine.connect() as connection:
            assert connection.execute(select(func.count()).where(batches.c.state != "closed")).scalar_one() == 0
            assert connection.execute(select(func.count()).where(records.c.outcome.is_(None))).scalar_one() == 0

    def expected(self, email: str) -> dict[str, str]:
        given = self.contacts[email]
        found = {"first_name": email.partition("@")[0].capitalize(), "email": email}
        found |= {f"cin7_{name}": value for name, value in given.items() if value is not None}
        return found | ({"optin": self.consents[email]} if email in self.consents else {})

    def sums(self, held: Counter[tuple[Any, ...]]) -> dict[tuple[str, str, str], tuple[float, float]]:
        """Price and quantity by order, item and address."""
        found: dict[tuple[str, str, str], tuple[float, float]] = {}
        for (item, price, order, _, email, quantity), times in held.items():
            if email in self.gone:
                continue
            before = found.get((order, item, email), (0, 0))
            found[order, item, email] = (before[0] + price * times, before[1] + quantity * times)
        return {key: sums for key, sums in found.items() if sums != (0, 0)}

    def owed(self) -> dict[tuple[str, str, str], tuple[float, float]]:
        wanted: Counter[tuple[Any, ...]] = Counter()
        for name, (email, given) in self.documents.items():
            for item, price in given:
                wanted[item, float(price), f"SO-{name}", "", email, -1.0 if price < 0 else 1.0] += 1
        for (flow, *what), times in self.trial.twice.items():
            if flow == "sales":
                wanted[tuple(what)] += times
        return self.sums(wanted)


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    served = Vendors()
    yield served
    served.close()


def tried(vendors: Vendors, empty: Path, modes: tuple[str, ...], steps: int) -> None:
    """Sequences are not made shorter when one fails: it would take minutes, and they are short."""
    run_state_machine_as_test(
        partial(Sequence, vendors, empty, modes),  # type: ignore[arg-type]
        settings=settings(law(2), stateful_step_count=steps, phases=(Phase.reuse, Phase.generate)),
    )


@pytest.mark.trouble
def test_any_sequence(vendors: Vendors, empty_warehouse: Path) -> None:
    tried(vendors, empty_warehouse, ("exception", "disk-full"), 8)


@pytest.mark.soak
def test_any_sequence_with_kills(vendors: Vendors, empty_warehouse: Path) -> None:
    tried(vendors, empty_warehouse, ("kill", "exception", "disk-full"), 15)
