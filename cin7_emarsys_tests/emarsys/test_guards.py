"""Guards: each refuses, in words; what may be overridden goes once, with a reason that is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from cin7_emarsys import guards
from cin7_emarsys.cli import app
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.payloads import ContactMapper, FieldsMissing
from cin7_emarsys.emarsys.tables import audit
from cin7_emarsys_tests.emarsys.conftest import Project, contact, moment, order_event, product

ANA, BEN = "ana@example.com", "ben@example.com"


def test_not_armed(work: Project) -> None:
    work.policy(("armed = true", "armed = false"))
    work.fill("mart.catalogue", product("A"))
    assert work.run("catalogue").dry_run
    report = work.run("catalogue", not_armed="a trial")
    assert (report.sent, report.dry_run) == (1, False)
    work.fill("mart.catalogue", product("A", price="20"))
    assert work.run("catalogue").sent == 0


def test_a_catalogue_that_shrank(work: Project) -> None:
    work.fill("mart.catalogue", *(product(item) for item in "ABCD"))
    work.run("catalogue")
    work.fill("mart.catalogue", product("A"))
    assert [gate.name for gate in work.run("catalogue").refused] == ["catalogue_not_shrunk"]
    assert work.run("catalogue", too_late="another guard").refused
    report = work.run("catalogue", catalogue_not_shrunk="the outlet was closed")
    assert report.refused == [] and report.desired == 1
    work.fill("mart.catalogue", product("A"), product("B"))
    assert work.run("catalogue").sent == 1, "what was published is what is compared with now"


def test_an_empty_value_over_a_filled_one(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA, last_name="Lee", ltv="5"), contact(BEN, last_name="Orr"))
    work.run("contacts")
    work.contacts(contact(ANA, last_name=None, ltv="6"), contact(BEN, last_name="Orr"))
    report = work.run("contacts")
    assert (report.accepted, report.guarded["empty_value"]) == (1, 1)
    assert work.account.contacts()[ANA]["last_name"] == "Lee"
    report = work.run("contacts", empty_value="she has one name")
    assert (report.desired, report.unchanged, report.sent, report.accepted) == (2, 1, 1, 1)
    held = work.account.contacts()
    assert not held[ANA].get("last_name") and held[BEN]["last_name"] == "Orr" and held[ANA]["cin7_ltv"] == "6"
    assert work.run("contacts").unchanged == 2


def test_a_field_of_another_system(work: Project) -> None:
    theirs = """field_map = [
        {attribute = "ltv", string_id = "cin7_ltv", type = "numeric"},
        {attribute = "first_name", string_id = "first_name", system_of_record = "SAP Emarsys"},
    ]
    """
    work.prepare()
    work.policy(("write_opt_out = false\n", f"write_opt_out = false\n{theirs}"))
    work.contacts(contact(ANA, ltv="5"))
    report = work.run("contacts")
    assert (report.accepted, report.guarded["foreign_field"]) == (1, 1)
    assert not work.account.contacts()[ANA].get("first_name")
    report = work.run("contacts", foreign_field="they asked us to fill it once")
    assert (report.unchanged, report.accepted, report.guarded["foreign_field"]) == (0, 1, 0)
    assert work.account.contacts()[ANA]["first_name"] == "Ana"
    assert work.run("contacts").unchanged == 1


def test_an_event_past_its_deadline(work: Project) -> None:
    work.known(ANA)
    late = {"deadline_at": moment(-1), "fact_at": moment(-30)}
    work.fill("mart.order_events", order_event("t1", **late), order_event("t2", excluded="too_late", **late))
    assert work.run("events").withheld == {"too_late": 1}
    report = work.run("events", too_late="the mail server was down")
    assert (report.desired, report.accepted) == (2, 2)
    assert work.run("events").sent == 0
    assert [row["trigger_id"] for row in work.account.judge("events")] == ["t1", "t2"]


def test_consent_is_not_ours_to_give(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1", event="first_purchase"))
    assert work.run("events").withheld == {"no_consent": 1}
    with pytest.raises(guards.NotOverridable, match="consent is not ours to give"):
        guards.of_run(guards.tag({"no_consent": "please"}), "events")
    assert work.account.judge("events") == []


@pytest.mark.parametrize("name", ["Opt-In", "E-Mail"])
def test_opt_in_and_email_cannot_be_filled_by_another_name(work: Project, name: str) -> None:
    """An account that tells no string ids is known by the names of its fields."""
    fields: list[dict[str, Any]] = [{"id": 31, "name": "Opt-In"}, {"id": "3", "name": "E-Mail"}]
    row = f'field_map = [{{attribute = "first_name", string_id = "{name}"}}]\n'
    work.policy(("write_opt_out = false\n", f"write_opt_out = false\n{row}"))
    with pytest.raises(FieldsMissing, match="never written with yes"):
        ContactMapper(work.settings.merchant, fields, {}, empty=True, foreign=True)


def test_an_override_is_kept_with_who_and_why(work: Project) -> None:
    overrides = guards.of_run(guards.tag({"too_late": "it was down", "not_armed": "a trial"}), "events")
    delivery = Delivery("events", work.settings, work.warehouse, work.ledger, "r1", dry_run=False, overrides=overrides)
    delivery.keep_overrides()
    with work.ledger.engine.connect() as connection:
        kept = connection.execute(select(audit.c.command, audit.c.reason, audit.c.details, audit.c.who)).all()
    assert [(row.command, row.reason) for row in kept] == [
        ("sync --override too_late", "it was down"), ("sync --override not_armed", "a trial"),
    ]  # fmt: skip
    assert json.loads(kept[0].details) == {"guard": "too_late", "flow": "events", "run": "r1"} and kept[0].who
    assert guards.of_run(guards.tag({"too_late": "x"}), "contacts") == {}
    again = guards.tag({"too_late": "x"}) | {"dagster/parent_run_id": "the run before"}
    assert guards.of_run(again, "events") == {}, "once: a re-execution needs a reason of its own"


@pytest.mark.parametrize(
    ("job", "guard", "told"),
    [
        ("orders", "no_consent", "consent is not ours to give"),
        ("customers", "opt_in", "opt_in cannot be overridden"),
        ("stock", "held_changes", "--release HOLD"),
        ("stock", "too_late", "guards events, and this job sends none of these"),
        ("nightly", "everything", "there is no guard everything"),
    ],
)
def test_what_cannot_be_overridden_is_refused_before_anything_runs(
    work: Project, job: str, guard: str, told: str
) -> None:
    shown = CliRunner().invoke(app, ["sync", job, "--override", guard, "--reason", "please"])
    assert shown.exit_code == 2
    assert told in " ".join(shown.output.split())
    assert CliRunner().invoke(app, ["sync", job, "--override", "too_late"]).exit_code == 2, "needs a reason"


def test_every_guard_says_what_it_refuses() -> None:
    for name, guard in guards.GUARDS.items():
        told = guards.sentence(name, 3)
        assert "{" not in told and (f"--override {name}" in told) == (guard.why_not is None)
