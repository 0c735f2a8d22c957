"""External events and triggers."""

import pytest

from .conftest import Emarsys

ANA, BO, NOBODY = "ana@example.com", "bo@example.com", "nobody@example.com"


@pytest.fixture
def path(emarsys: Emarsys) -> str:
    """The trigger of one event, in an account with two contacts."""
    emarsys.upsert({"3": ANA, "31": "2"}, {"3": BO})
    return f"event/{emarsys.data('POST', 'event', {'name': 'order_shipped'})['id']}/trigger"


def mails(emarsys: Emarsys) -> list[tuple[str, str, str | None]]:
    return [(mail["event"], mail["email"], mail["opt_in"]) for mail in emarsys.judge("mails")["mails"]]


def test_events_are_listed_with_local_times(emarsys: Emarsys, path: str) -> None:
    event = emarsys.data("GET", "event")[0]
    assert (event["id"], event["name"], len(event["created"])) == (2001, "order_shipped", 19)
    assert emarsys.data("GET", "event/2001") == [event]
    usages = emarsys.data("GET", "event/2001/usages")
    assert usages["program_ids"] == usages["interactions_program_ids"] == []
    assert usages["email_ids"]


def test_event_names_are_required_and_unique(emarsys: Emarsys, path: str) -> None:
    assert emarsys.refused("POST", "event", {}) == (400, 5002)
    assert emarsys.refused("POST", "event", {"name": "order_shipped"}) == (400, 5003)


def test_somebody_creates_an_event_in_the_ui(emarsys: Emarsys) -> None:
    created = emarsys.control("events", {"name": "welcome"})
    assert [event["id"] for event in emarsys.data("GET", "event")] == [created["id"]]


def test_a_trigger_sends_a_mail_whatever_the_consent(emarsys: Emarsys, path: str) -> None:
    body = {
        "key_id": "3",
        "external_id": ANA,
        "event_time": "2026-11-23T09:15:00Z",
        "data": {"global": {"order": "SO-1"}},
    }
    assert emarsys.data("POST", path, body) == {}
    assert mails(emarsys) == [("order_shipped", ANA, "2")]
    logged = emarsys.judge("events")["events"][0]
    assert logged.pop("received_at")
    assert logged == {
        "event": "order_shipped",
        "email": ANA,
        "trigger_id": None,
        "data": {"global": {"order": "SO-1"}},
        "deduplicated": False,
    }


def test_a_batch_reports_unknown_contacts_and_sends_the_rest(emarsys: Emarsys, path: str) -> None:
    contacts = [{"external_id": ANA, "data": {}}, {"external_id": NOBODY, "data": {}}]
    data = emarsys.data("POST", path, {"key_id": 3, "contacts": contacts})
    assert data["ids"] == ["100000001"]
    assert data["errors"] == {NOBODY: {"2008": f"No contact found with the external id: 3 - {NOBODY}"}}
    assert len(mails(emarsys)) == 1


def test_a_repeated_trigger_id_is_acknowledged_but_not_sent(emarsys: Emarsys, path: str) -> None:
    emarsys.control("switches", {"trigger_memory": 600})
    contact = {"external_id": ANA, "trigger_id": "so-1|shipped|1"}
    for _ in range(2):
        assert emarsys.data("POST", path, {"key_id": "3", "contacts": [contact]})["ids"] == ["100000001"]
    assert [event["deduplicated"] for event in emarsys.judge("events")["events"]] == [False, True]
    assert len(mails(emarsys)) == 1
    emarsys.clock.advance(601)
    emarsys.data("POST", path, {"key_id": "3", "contacts": [contact]})
    assert len(mails(emarsys)) == 2


def test_without_a_trigger_id_every_call_sends(emarsys: Emarsys, path: str) -> None:
    for _ in range(2):
        emarsys.data("POST", path, {"key_id": "3", "external_id": ANA})
    assert len(mails(emarsys)) == 2


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({"event_time": "2026-11-23 09:15:00"}, 5010),
        ({"event_time": "2026-11-23T09:15:00+01:00"}, 5010),
        ({"event_time": "2026-13-23T09:15:00Z"}, 5010),
        ({"data": "text"}, 5009),
        ({"data": [1]}, 5011),
        ({"data": {"global": "text"}}, 5011),
        ({"data": {"big": "x" * 1_000_001}}, 5008),
        ({"nonsense": 1}, 10001),
        ({"trigger_id": 7}, 10001),
    ],
)
def test_wrong_data_in_one_row_triggers_nothing(
    emarsys: Emarsys, path: str, extra: dict[str, object], code: int
) -> None:
    contacts = [{"external_id": ANA, "data": {}}, {"external_id": BO, **extra}]
    assert emarsys.refused("POST", path, {"key_id": "3", "contacts": contacts}) == (400, code)
    assert emarsys.refused("POST", path, {"key_id": "3", "external_id": BO, **extra}) == (400, code)
    assert emarsys.judge("events")["total"] == 0


def test_data_beside_the_contacts_of_a_batch_is_refused(emarsys: Emarsys, path: str) -> None:
    body = {"key_id": "3", "contacts": [{"external_id": ANA}], "trigger_id": "x"}
    assert emarsys.refused("POST", path, body) == (400, 10001)


def test_at_most_a_thousand_contacts(emarsys: Emarsys, path: str) -> None:
    assert emarsys.refused("POST", path, {"key_id": "3", "contacts": [{"external_id": ANA}] * 1001}) == (400, 1000)


def test_the_single_form_refuses_with_400(emarsys: Emarsys, path: str) -> None:
    assert emarsys.refused("POST", path, {"key_id": "3", "external_id": NOBODY}) == (400, 2008)
    assert emarsys.refused("POST", path, {"key_id": "3"}) == (400, 2005)
    assert emarsys.refused("POST", path, {"keyId": "3", "external_id": ANA}) == (400, 2004)
    assert emarsys.refused("POST", "event/9/trigger", {"key_id": "3", "external_id": ANA}) == (400, 5001)
    assert emarsys.refused("POST", "event/order_shipped/trigger", {}) == (400, 5004)


def test_an_event_that_nothing_listens_to_is_5005(emarsys: Emarsys, path: str) -> None:
    emarsys.control("switches", {"event_listeners": []})
    assert emarsys.refused("POST", path, {"key_id": "3", "external_id": ANA}) == (400, 5005)
    assert emarsys.data("GET", "event/2001/usages")["email_ids"] == []


def test_with_interactions_the_answer_says_what_is_connected(emarsys: Emarsys, path: str) -> None:
    emarsys.control("switches", {"interactions": True})
    body = {"key_id": "3", "external_id": ANA}
    connected = {"email": True, "acProgram": False, "interactionsProgram": False}
    assert emarsys.data("POST", path, body) == {"connectedTo": connected}
    assert "warnings" in emarsys.data("POST", path, {**body, "data": {"big": "x" * 100_001}})
    emarsys.control("switches", {"event_listeners": ["another"]})
    assert emarsys.data("POST", path, {"key_id": "3", "contacts": [{"external_id": ANA}]})["connectedTo"] is False
    assert len(mails(emarsys)) == 2


def test_partial_reject_refuses_one_contact_of_a_trigger(emarsys: Emarsys, path: str) -> None:
    emarsys.faults.set([{"name": "partial-reject", "path": "/trigger", "row": 1, "nth": 1, "times": 2}])
    body = {
        "key_id": "3",
        "contacts": [{"external_id": ANA, "trigger_id": "1"}, {"external_id": BO, "trigger_id": "2"}],
    }
    assert list(emarsys.data("POST", path, body)["errors"][BO]) == ["2008"]
    assert list(emarsys.data("POST", path, body)["errors"][BO]) == ["2012"]
    assert "errors" not in emarsys.data("POST", path, body)
    assert [email for _, email, _ in mails(emarsys)] == [ANA, BO]


def test_mail_campaigns_may_send_a_repeated_trigger_again_and_programs_not(emarsys: Emarsys, path: str) -> None:
    emarsys.control("switches", {"campaign_deduplication": False, "interactions": True})
    body = {"key_id": "3", "external_id": ANA, "trigger_id": "so-1|shipped|1"}
    for _ in range(2):
        assert emarsys.data("POST", path, body)["connectedTo"]["email"]
    assert len(mails(emarsys)) == 2
    emarsys.control("switches", {"program_events": ["order_shipped"]})
    assert emarsys.data("POST", path, body)["connectedTo"] == {
        "email": False,
        "acProgram": True,
        "interactionsProgram": False,
    }
    assert len(mails(emarsys)) == 2
    assert emarsys.data("GET", "event/2001/usages")["program_ids"]
    assert [event["deduplicated"] for event in emarsys.judge("events")["events"]] == [False, False, True]
