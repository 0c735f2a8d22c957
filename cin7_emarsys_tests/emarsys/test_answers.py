"""What an answer means: every shape in which Emarsys tells that a record failed."""

from __future__ import annotations

from typing import Any

import pytest

from cin7_emarsys.emarsys import answers
from cin7_emarsys.emarsys.answers import NotTrusted

KEYS = ["ana@example.com", "ben@example.com", "cem@example.com"]


def outcomes(data: Any) -> dict[str, str]:
    found = answers.batch({"replyCode": 0, "replyText": "OK", "data": data}, KEYS)
    return {key: verdict.outcome for key, verdict in found.by_key.items()}


@pytest.mark.parametrize("data", [{"ids": [1, "2", 3]}, {"errors": []}, {"errors": {}}, {"errors": ""}, {}, []])
def test_without_errors_all_is_accepted(data: Any) -> None:
    assert outcomes(data) == dict.fromkeys(KEYS, "accepted")


@pytest.mark.parametrize(
    "errors",
    [
        {"ben@example.com": {"2007": "Invalid date format for field id: 4"}},
        [{"key": "ben@example.com", "errorCode": 2007, "errorMsg": "Invalid date format for field id: 4"}],
        [{"external_id": "ben@example.com", "errorCode": "2007", "errorMsg": "Invalid date format for field id: 4"}],
        {"Ben@Example.COM": {"2007": "Invalid date format for field id: 4"}},
    ],
    ids=["map", "array", "array of events", "other letter case"],
)
def test_who_is_named_is_rejected_with_code_and_words(errors: Any) -> None:
    found = answers.batch({"replyCode": 0, "data": {"ids": ["1", 2], "errors": errors}}, KEYS)
    verdict = found.by_key["ben@example.com"]
    assert (verdict.outcome, verdict.code) == ("rejected", "2007")
    assert verdict.reason == "Invalid date format for field id: 4"
    assert [found.by_key[key].outcome for key in (KEYS[0], KEYS[2])] == ["accepted", "accepted"]
    assert found.strangers == 0


@pytest.mark.parametrize("named", [{}, "wrong", None, ["wrong"]])
def test_who_is_named_without_a_code_is_rejected_too(named: Any) -> None:
    assert outcomes({"ids": [1, 2], "errors": {"ben@example.com": named}})["ben@example.com"] == "rejected"


@pytest.mark.parametrize(("code", "text"), [("2009", "Contact exists: 3"), ("2006", "External id Already Exists: 3")])
def test_a_race_for_the_same_key_may_be_repeated(code: str, text: str) -> None:
    assert outcomes({"ids": [1, 2], "errors": {"ben@example.com": {code: text}}})["ben@example.com"] == "retryable"


def test_an_invalid_field_is_no_race() -> None:
    assert outcomes({"errors": {"ben@example.com": {"2006": "Invalid field id: 9"}}})["ben@example.com"] == "rejected"


def test_a_stranger_makes_unknown_what_is_not_proven() -> None:
    found = answers.batch({"replyCode": 0, "data": {"ids": [1, 2], "errors": {"x@example.com": {"2007": "no"}}}}, KEYS)
    assert found.strangers == 1
    assert {verdict.outcome for verdict in found.by_key.values()} == {"unknown"}


def test_a_stranger_beside_enough_ids_harms_nobody() -> None:
    data = {"ids": [1, "2", 3], "errors": {"x@example.com": {"2007": "no"}}}
    assert outcomes(data) == dict.fromkeys(KEYS, "accepted")


def test_a_stranger_and_no_ids_proves_nothing() -> None:
    assert set(outcomes({"errors": {"x@example.com": {"2007": "no"}}}).values()) == {"unknown"}


@pytest.mark.parametrize(
    "content",
    [
        {"replyCode": 0, "data": ""},
        {"replyCode": 0, "data": None},
        {"replyCode": 0},
        {"replyCode": 1, "replyText": "Unable to process request", "data": ""},
        {"data": {"ids": [1]}},
        [],
        "",
        None,
    ],
)
def test_from_such_answers_nothing_follows(content: Any) -> None:
    with pytest.raises(NotTrusted):
        answers.batch(content, KEYS)


@pytest.mark.parametrize("result", [False, "", None, [], [False]])
def test_nobody_found_is_an_empty_list(result: Any) -> None:
    assert answers.rows_read({"replyCode": 0, "data": {"errors": [], "result": result}}) == []


def test_data_without_content_is_an_empty_list() -> None:
    assert answers.rows_read({"replyCode": 0, "data": ""}) == []


def test_rows_found() -> None:
    rows = [{"id": "1", "3": "ana@example.com", "31": "1"}]
    assert answers.rows_read({"replyCode": 0, "data": {"result": rows}}) == rows


def test_a_refused_read_is_not_nobody() -> None:
    with pytest.raises(NotTrusted):
        answers.rows_read({"replyCode": 2004, "replyText": "Invalid key field id", "data": ""})
