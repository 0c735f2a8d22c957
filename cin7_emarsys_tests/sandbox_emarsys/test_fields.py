"""The field list, choices, and the creation of fields."""

import pytest

from .conftest import Emarsys


def test_system_fields_have_their_ids_string_ids_and_types(emarsys: Emarsys) -> None:
    fields = {field["id"]: field for field in emarsys.data("GET", "field")}
    assert fields[14]["application_type"] == "singlechoice"
    expected = {
        1: "first_name",
        3: "email",
        4: "birth_date",
        13: "zip_code",
        18: "company_name",
        31: "optin",
        37: "mobile",
    }
    assert {number: fields[number]["string_id"] for number in expected} == expected
    assert emarsys.data("GET", "field/translate/en") == list(fields.values())


def test_the_choice_id_is_not_its_position(emarsys: Emarsys) -> None:
    choices = emarsys.data("GET", "field/14/choice/translate/en")
    australia = next(each for each in choices if each["choice"] == "Australia")
    assert australia["id"] == "9"
    assert str(australia["bit_position"]) != australia["id"]
    several = emarsys.data("GET", "field/choices?fields=5,14&language=en")
    assert several["14"] == choices
    assert [each["choice"] for each in several["5"][:2]] == ["Male", "Female"]


def test_there_are_no_choices_of_a_field_that_does_not_exist(emarsys: Emarsys) -> None:
    answer = emarsys.call("GET", "field/777/choice/translate/en")
    assert answer.status_code == 404
    assert "replyCode" not in answer.json()


def test_a_created_field_gets_a_string_id_from_its_name(emarsys: Emarsys) -> None:
    created = emarsys.data("POST", "field", {"name": "Cin7 – customer id", "application_type": "shorttext"})
    assert created == {"id": 90_001}
    body = {"name": "Value", "application_type": "numeric", "string_id": "ltv"}
    assert emarsys.data("POST", "field", body) == {"id": 90_002}
    custom = [field for field in emarsys.data("GET", "field/translate/en") if field["id"] > 90_000]
    assert [field["string_id"] for field in custom] == ["cin7_customer_id", "ltv"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "!!!", "application_type": "date"}, 9001),
        ({"name": "A", "application_type": "date", "string_id": "with space"}, 9001),
        ({"name": "first name", "application_type": "date"}, 9002),
        ({"name": "Forename", "application_type": "date", "string_id": "first_name"}, 9002),
        ({"name": "uid", "application_type": "shorttext"}, 9003),
        ({"name": "A"}, 9005),
        ({"application_type": "date"}, 9005),
        ({"name": "A", "application_type": "singlechoice"}, 9006),
        ({"name": "A", "application_type": "date", "choices": []}, 10001),
    ],
)
def test_wrong_fields_are_refused(emarsys: Emarsys, body: dict[str, object], code: int) -> None:
    assert emarsys.refused("POST", "field", body) == (400, code)


def test_an_account_runs_out_of_fields(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"field_slots": 1})
    emarsys.data("POST", "field", {"name": "A", "application_type": "date"})
    assert emarsys.refused("POST", "field", {"name": "B", "application_type": "date"}) == (400, 9004)
