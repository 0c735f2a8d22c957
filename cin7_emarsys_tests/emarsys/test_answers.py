"""What an answer means: every shape in which Emarsys tells what became of the records of a call."""

from __future__ import annotations

from typing import Any

import pytest

from cin7_emarsys.emarsys import answers
from cin7_emarsys.emarsys.answers import NotTrusted

ANA, BEN, CEM = KEYS = ["ana@example.com", "ben@example.com", "cem@example.com"]
IDS: list[Any] = ["285291248", 106504559, "504947875"]  # an existing contact as text, a created one as a number
DATE = "Invalid date format for field id: 4"
EXISTS = "Contact with the external id already exists: 3"

# Name, `data` of an answer with replyCode 0, and the fates of Ana, Ben and Cem: accepted, rejected, retryable, unknown.
TABLE: list[tuple[str, Any, str]] = [
    ("errors absent", {"ids": IDS}, "aaa"),
    ("a count that is enough", {"count": 3}, "aaa"),
    ("a count that is less", {"count": 2, "errors": {}}, "uuu"),
    ("errors an empty list", {"ids": IDS, "errors": []}, "aaa"),
    ("errors an empty map", {"ids": IDS, "errors": {}}, "aaa"),
    ("errors an empty text", {"ids": IDS, "errors": ""}, "aaa"),
    ("errors null", {"ids": IDS, "errors": None}, "aaa"),
    ("no ids and no errors", {"errors": []}, "aaa"),
    ("ids of numbers only, in another order", {"ids": [3, 1, 2]}, "aaa"),
    ("errors a map", {"ids": IDS[1:], "errors": {BEN: {"2007": DATE}}}, "ara"),
    ("errors a list", {"ids": IDS[1:], "errors": [{"key": BEN, "errorCode": 2007, "errorMsg": DATE}]}, "ara"),
    ("its code as text", {"ids": IDS[1:], "errors": [{"key": BEN, "errorCode": "2007", "errorMsg": DATE}]}, "ara"),
    ("errors a list about events", {"ids": IDS[1:], "errors": [{"external_id": BEN, "errorCode": 2008}]}, "ara"),
    ("a key in other letters", {"ids": IDS[1:], "errors": {" Ben@Example.COM ": {"2007": DATE}}}, "ara"),
    ("ids as many as sent beside an error", {"ids": IDS, "errors": {BEN: {"2007": DATE}}}, "ara"),
    ("all failed", {"ids": [], "errors": {key: {"2007": DATE} for key in KEYS}}, "rrr"),
    ("several contacts have this key", {"ids": IDS[1:], "errors": {BEN: {"2010": "More contacts found"}}}, "ara"),
    ("the key is missing", {"ids": IDS[1:], "errors": {BEN: {"2005": "No value provided for key field: 3"}}}, "ara"),
    ("no such contact", {"ids": IDS[1:], "errors": {BEN: {"2008": "No contact found"}}}, "ara"),
    ("an invalid contact", {"ids": IDS[1:], "errors": {BEN: {"2012": "Invalid contact id"}}}, "ara"),
    ("a race", {"ids": IDS[1:], "errors": {BEN: {"2009": EXISTS}}}, "aya"),
    ("a race under another code", {"ids": IDS[1:], "errors": {BEN: {"2006": EXISTS}}}, "aya"),
    ("a race and a wrong value", {"ids": IDS[1:], "errors": {BEN: {"2007": DATE, "2009": EXISTS}}}, "ara"),
    ("a wrong value and a race", {"ids": IDS[1:], "errors": {BEN: {"2009": EXISTS, "2007": DATE}}}, "ara"),
    (
        "the key field cannot be used",
        {"ids": [], "errors": {key: {"2004": "Invalid key field"} for key in KEYS}},
        "yyy",
    ),
    ("a field that is gone", {"ids": IDS[1:], "errors": {BEN: {"2006": "Invalid field id: 90001"}}}, "aya"),
    ("named without a reason", {"ids": IDS[1:], "errors": {BEN: {}}}, "ara"),
    ("named with a text", {"ids": IDS[1:], "errors": {BEN: "not saved"}}, "ara"),
    ("named with nothing", {"ids": IDS[1:], "errors": {BEN: None}}, "ara"),
    ("somebody who was not sent, and enough ids", {"ids": IDS, "errors": {"x@example.com": {"2007": DATE}}}, "aaa"),
    ("somebody who was not sent, and too few ids", {"ids": IDS[1:], "errors": {"x@example.com": {"2007": "-"}}}, "uuu"),
    ("somebody who was not sent, and no ids", {"errors": {"x@example.com": {"2007": DATE}}}, "uuu"),
    ("one of ours and a stranger", {"ids": [1], "errors": {BEN: {"2007": DATE}, "x": {"2007": DATE}}}, "uru"),
    ("an error that names nobody", {"ids": IDS[1:], "errors": [{"errorCode": 2007, "errorMsg": DATE}]}, "uuu"),
    ("an error that is a text", {"ids": IDS[1:], "errors": [DATE]}, "uuu"),
    ("errors that are a text", {"errors": DATE}, "uuu"),
    ("fewer ids than were sent", {"ids": IDS[1:]}, "uuu"),
    ("no id at all", {"ids": [], "errors": []}, "uuu"),
    ("contacts deleted", {"deleted_contacts": 3}, "aaa"),
    (
        "one contact was not there to be deleted",
        {"deleted_contacts": 2, "errors": {BEN: {"2008": "No contact"}}},
        "ara",
    ),
    ("an event with programmes", {"ids": IDS, "connectedTo": {"email": False, "acProgram": True}}, "aaa"),
    ("an event that nothing listens to", {"ids": IDS, "connectedTo": False, "warnings": ["too big"]}, "aaa"),
]
_LETTERS = {"accepted": "a", "rejected": "r", "retryable": "y", "unknown": "u"}


def judged(data: Any) -> answers.Verdicts:
    return answers.batch({"replyCode": 0, "replyText": "OK", "data": data}, KEYS)


@pytest.mark.parametrize(("data", "fates"), [pytest.param(data, fates, id=name) for name, data, fates in TABLE])
def test_each_shape_has_its_outcome(data: Any, fates: str) -> None:
    by_key = judged(data).by_key
    assert "".join(_LETTERS[by_key[key].outcome] for key in KEYS) == fates
    assert set(by_key) == set(KEYS)


@pytest.mark.parametrize(
    "errors",
    [{BEN: {"2007": DATE}}, [{"key": BEN, "errorCode": 2007, "errorMsg": DATE}], {BEN.upper(): {"2007": DATE}}],
)
def test_code_and_words_are_kept(errors: Any) -> None:
    verdict = judged({"ids": IDS[1:], "errors": errors}).by_key[BEN]
    assert (verdict.code, verdict.reason) == ("2007", DATE)


@pytest.mark.parametrize(("told", "reason"), [({}, ""), (None, ""), ("not saved", "not saved")])
def test_who_is_named_without_a_code_has_failed_all_the_same(told: Any, reason: str) -> None:
    verdict = judged({"ids": IDS[1:], "errors": {BEN: told}}).by_key[BEN]
    assert (verdict.outcome, verdict.code, verdict.reason) == ("rejected", "", reason)


@pytest.mark.parametrize(
    ("errors", "strangers"),
    [({}, 0), ({BEN.upper(): {"2007": DATE}}, 0), ({"x": {}, "y": {}}, 2), ([{"errorCode": 2007}], 1)],
)
def test_errors_for_a_key_that_was_not_sent_are_counted(errors: Any, strangers: int) -> None:
    assert judged({"ids": IDS, "errors": errors}).strangers == strangers


def test_only_what_the_account_lacks_stops_the_flow() -> None:
    told = {"2004": "Invalid key field", "2006": "Invalid field id: 9", "2007": DATE, "2009": EXISTS}
    assert [code for code, text in told.items() if answers.of_the_account(answers.judge(code, text))] == [
        "2004",
        "2006",
    ]
    assert not answers.of_the_account(answers.judge("2006", EXISTS))


@pytest.mark.parametrize(
    "content",
    [
        {"replyCode": 0, "replyText": "OK", "data": ""},
        {"replyCode": 0, "data": None},
        {"replyCode": 0, "data": {}},
        {"replyCode": 0, "data": []},
        {"replyCode": 0},
        {"replyCode": "0", "data": {"ids": IDS}},
        {"replyCode": 1, "replyText": "Unable to process request", "data": ""},
        {"replyCode": 2004, "replyText": "Invalid key field id: ", "data": {"ids": IDS}},
        {"data": {"ids": IDS}},
        {"message": "API rate limit exceeded"},
        {"error": {"code": "GENERIC_ERROR", "message": "Request has invalid format"}},
        [],
        "",
        None,
    ],
)
def test_from_such_answers_nothing_follows(content: Any) -> None:
    with pytest.raises(NotTrusted):
        answers.batch(content, KEYS)


@pytest.mark.parametrize(
    ("connected", "email"),
    [
        ({"connectedTo": {"email": True, "acProgram": False}}, True),
        ({"connectedTo": {"email": False, "acProgram": True}}, False),
        ({"connectedTo": False}, False),
        ({"connectedTo": {"acProgram": True}}, None),
        ({"connectedTo": {"email": "no"}}, None),
        ({"connectedTo": True}, None),
        ({}, None),
        ("", None),
    ],
)
def test_whether_an_e_mail_hangs_on_an_event(connected: Any, email: bool | None) -> None:
    assert answers.connected_to_email({"replyCode": 0, "data": connected}) is email


@pytest.mark.parametrize("result", [False, "", None, [], [False]])
def test_nobody_found_is_an_empty_list(result: Any) -> None:
    assert answers.rows_read({"replyCode": 0, "data": {"errors": [], "result": result}}) == []


@pytest.mark.parametrize("data", ["", {}, {"errors": []}, None])
def test_data_without_a_result_is_an_empty_list(data: Any) -> None:
    assert answers.rows_read({"replyCode": 0, "data": data}) == []


def test_rows_found() -> None:
    rows = [{"id": "1", "3": ANA, "31": "1", "0": [1, "2"]}, {"id": 2, "3": BEN, "31": None}]
    assert answers.rows_read({"replyCode": 0, "data": {"result": rows}}) == rows


@pytest.mark.parametrize(
    "errors",
    [
        [{"key": BEN, "errorCode": 2008, "errorMsg": "No contact found with the external id: 3"}],
        {BEN: {"2008": "No contact found with the external id: 3"}},
    ],
)
def test_who_was_not_found_is_told_in_two_shapes(errors: Any) -> None:
    told = answers.errors_of({"errors": errors, "result": False})
    assert told == {BEN: ("2008", "No contact found with the external id: 3")}


def test_a_refused_read_is_not_nobody() -> None:
    with pytest.raises(NotTrusted):
        answers.rows_read({"replyCode": 2004, "replyText": "Invalid key field id", "data": ""})
