"""Every shape of an answer, and of a payload, that the contract names: by our client, over HTTP, against the sandbox."""

from __future__ import annotations

import pytest

from cin7_emarsys.transport import PermissionMissing
from cin7_emarsys_tests.emarsys.conftest import Project, contact, figures, order_event, sales_line

ANA, BEN, CEM = "ana@example.com", "ben@example.com", "cem@example.com"


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("errors", ["absent", "array", "object"])
def test_no_errors_whatever_their_shape_and_the_type_of_the_answer(work: Project, errors: str, html: bool) -> None:
    work.account.control("switches", {"errors_empty_shape": errors, "content_type_html": html})
    work.known(ANA)
    work.contacts(contact(ANA, ltv="1"), contact(BEN))  # the id of one comes as text, of the other as a number
    assert figures(work.run("contacts")) == {"sent": 2, "accepted": 2}
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN))
    assert figures(work.run("events")) == {"sent": 2, "accepted": 2}
    assert work.account.contacts().keys() == {ANA, BEN}


@pytest.mark.parametrize("fault", ["html-200", "truncated", "error-200", "server-error"])
def test_an_answer_that_says_nothing_makes_contacts_go_again(work: Project, fault: str) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    work.account.fault(fault, "contacts", times=9)
    assert figures(work.run("contacts")) == {"sent": 2, "unknown": 2}
    work.account.control("faults", [], "PUT")
    assert figures(work.run("contacts")) == {"sent": 2, "accepted": 2}
    assert work.account.contacts().keys() == {ANA, BEN}


@pytest.mark.parametrize("flow", ["contacts", "events"])
def test_a_token_that_is_refused_in_the_middle_is_renewed(work: Project, flow: str) -> None:
    work.known(ANA, BEN, CEM)
    work.contacts(*(contact(email, ltv="1") for email in (ANA, BEN, CEM)))
    work.fill("mart.order_events", *(order_event(f"t{n}", email=e) for n, e in enumerate((ANA, BEN, CEM))))
    work.account.fault("auth-expired", flow)
    assert figures(work.run(flow)) == {"sent": 3, "accepted": 3}
    if flow == "events":
        assert sorted(row["email"] for row in work.account.judge("events")) == [ANA, BEN, CEM]


def test_a_throttle_without_hints_is_waited_for(work: Project) -> None:
    work.account.control("switches", {"rate_headers": False, "throttle_body": "bare"})
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1"))
    work.account.fault("throttle-429", "events", times=2)
    assert figures(work.run("events")) == {"sent": 1, "accepted": 1}
    assert len(work.account.judge("events")) == 1


def test_a_403_that_says_nothing_is_a_missing_permission(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA))
    work.account.control("switches", {"forbidden_body": False, "permissions": {"contact.update": False}})
    with pytest.raises(PermissionMissing, match="PUT"):
        work.run("contacts")
    assert work.outcomes("contacts") == [(ANA, "retryable")]


def test_contacts_that_stand_twice_go_once(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA, ltv="1"), contact(f" {ANA.upper()}", ltv="2", payload_hash="other"))
    report = work.run("contacts")
    assert (report.sent, report.accepted, report.folded) == (1, 1, 1)


def test_texts_as_people_write_them_arrive(work: Project) -> None:
    """Emoji, letters of four bytes, line breaks, and more than fits."""
    work.prepare()
    work.contacts(contact(ANA, first_name="Zoë 🎉\n𝒳", last_name="n" * 80))
    report = work.run("contacts")
    kept = work.account.contacts()[ANA]
    assert (report.accepted, report.shortened) == (1, 1)
    assert (kept["first_name"].startswith("Zoë"), "\n" in kept["first_name"], kept["last_name"]) == (
        True,
        False,
        "n" * 60,
    )
    note = "„ä“ 🎉 𝒳\n2nd line"
    work.fill("mart.order_events", order_event("t1", data={"order": "SO-1", "note": note}))
    assert work.run("events").accepted == 1
    (event,) = work.account.judge("events")
    assert event["data"]["note"] == note


SKUS = ("00123", "1E5", "12", "-7", "1.0", "TRUE", "null")


def test_skus_that_look_like_numbers_stay_as_they_are(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", *(sales_line(f"i{n}", sku, 10) for n, sku in enumerate(SKUS)))
    assert work.run("sales").accepted == len(SKUS)
    assert sorted(line["item"] for line in work.account.judge("sales")) == sorted(SKUS)
