"""What an account lacks, and making it once."""

from __future__ import annotations

import pytest

from cin7_emarsys.emarsys import setup
from cin7_emarsys.emarsys.client import Emarsys
from cin7_emarsys.transport import PermissionMissing
from cin7_emarsys_tests.emarsys.conftest import Project

FIELDS, EVENTS = 15, 6  # of ours: the two names are Emarsys' own fields


def states(work: Project) -> dict[str, str]:
    with Emarsys(work.settings) as emarsys:
        return {finding.what: finding.state for finding in setup.survey(emarsys, work.settings.merchant)}


def test_a_bare_account_lacks_everything_of_ours(work: Project) -> None:
    found = states(work)
    assert sorted(set(found.values())) == ["good", "missing"]
    assert {what for what, state in found.items() if state == "good"} == {"field first_name", "field last_name"}
    assert sum(what.startswith("field cin7_") for what in found) == FIELDS
    assert sum(what.startswith("event cin7_") for what in found) == EVENTS


def test_it_is_made_once(work: Project) -> None:
    assert work.prepare() == FIELDS + EVENTS
    assert set(states(work).values()) == {"good"}
    assert work.prepare() == 0
    made = [row for row in work.account.judge("requests") if row["method"] == "POST" and "oauth2" not in row["path"]]
    assert len(made) == FIELDS + EVENTS


def test_what_somebody_else_made_meanwhile_is_good_too(work: Project) -> None:
    merchant = work.settings.merchant
    with Emarsys(work.settings) as emarsys:
        findings = setup.survey(emarsys, merchant)
        work.prepare()
        assert len(setup.make(emarsys, merchant, findings)) == FIELDS + EVENTS
    assert set(states(work).values()) == {"good"}
    with Emarsys(work.settings) as emarsys:
        names = [field["string_id"] for field in emarsys.fields()]
    assert len(names) == len(set(names))


def test_a_field_of_an_unfitting_type_is_named_and_left(work: Project) -> None:
    work.account.control("fields", {"name": "Cin7 ltv", "application_type": "date", "string_id": "cin7_ltv"})
    assert states(work)["field cin7_ltv"] == "wrong"
    work.prepare()
    assert states(work)["field cin7_ltv"] == "wrong"


def test_an_event_that_is_switched_off_is_not_needed(work: Project) -> None:
    work.policy(('name = "cin7_order_shipped"', 'name = "cin7_order_shipped"\nenabled = false'))
    assert "event cin7_order_shipped" not in states(work)
    assert work.prepare() == FIELDS + EVENTS - 1


def test_a_choice_field_is_left_to_a_person(work: Project) -> None:
    row = '[[contacts.field_map]]\nattribute = "customer_type"\nstring_id = "cin7_type"\ntype = "choice"\n'
    work.policy(("[emarsys]", f"{row}[emarsys]"))
    with Emarsys(work.settings) as emarsys:
        (finding,) = (each for each in setup.survey(emarsys, work.settings.merchant) if each.what.startswith("field"))
    assert (finding.state, finding.can_make, "the API cannot" in finding.next_step) == ("missing", False, True)
    assert work.prepare() == EVENTS


@pytest.mark.parametrize(
    ("permission", "what"),
    [
        ("field.list", "read fields"),
        ("externalevent.list", "read events"),
        ("contact.getdata", "read contacts"),
        ("customer.settings", "read settings"),
    ],
)
def test_a_permission_that_is_missing_is_named(work: Project, permission: str, what: str) -> None:
    work.account.control("switches", {"permissions": {permission: False}})
    with Emarsys(work.settings) as emarsys:
        findings = setup.permissions(emarsys)
    (wrong,) = (finding for finding in findings if finding.state != "good")
    assert wrong.what == what
    assert permission in wrong.next_step


def test_without_the_permission_to_make_a_field_it_says_so(work: Project) -> None:
    work.account.control("switches", {"permissions": {"field.create": False}})
    with pytest.raises(PermissionMissing):
        work.prepare()
