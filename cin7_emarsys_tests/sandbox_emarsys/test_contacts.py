"""Writing and reading contacts."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import Emarsys

ANA, BO, NOBODY = "ana@example.com", "bo@example.com", "nobody@example.com"


def errors_of(emarsys: Emarsys, row: dict[str, object]) -> dict[str, str]:
    """The refusal of one row, by code."""
    errors: dict[str, dict[str, str]] = emarsys.upsert({"3": ANA, **row}).get("errors", {})
    return errors.get(ANA, {})


def test_a_fresh_account_has_no_contacts_events_or_custom_fields(emarsys: Emarsys) -> None:
    assert emarsys.judge("contacts") == {"total": 0, "contacts": []}
    assert emarsys.data("GET", "event") == []
    assert all(int(field["id"]) <= 48 for field in emarsys.data("GET", "field/translate/en"))


def test_created_ids_are_numbers_and_existing_ids_are_text(emarsys: Emarsys) -> None:
    assert emarsys.upsert({"3": ANA}) == {"ids": [100_000_001]}
    assert emarsys.upsert({"3": ANA}, {"3": BO}) == {"ids": ["100000001", 100_000_002]}


def test_failures_of_rows_are_keyed_by_the_sent_key_and_shorten_the_ids(emarsys: Emarsys) -> None:
    data = emarsys.upsert({"3": ANA, "5": "99"}, {"3": BO, "1": "Bo"})
    assert data["ids"] == [100_000_001]
    assert list(data["errors"]) == [ANA]
    assert list(data["errors"][ANA]) == ["2007"]
    assert [row["email"] for row in emarsys.judge("contacts")["contacts"]] == [BO]


def test_blank_clears_and_absent_keeps(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA, "1": "Ana", "2": "Lee", "31": "1"})
    emarsys.upsert({"3": ANA, "1": ""})
    assert emarsys.contact(ANA) == {"email": ANA, "last_name": "Lee", "optin": "1"}


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_opt_in_wipes_consent_and_the_judge_remembers(emarsys: Emarsys, blank: str | None) -> None:
    emarsys.upsert({"3": ANA, "31": 2})
    emarsys.upsert({"3": ANA, "31": blank})
    assert "optin" not in emarsys.contact(ANA)
    changes = emarsys.judge("consents")["consents"]
    assert [(each["email"], each["from"], each["to"], each["by"]) for each in changes] == [
        (ANA, None, "2", "api"),
        (ANA, "2", None, "api"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("31", value) for value in (True, "true", 0, "0", 3)],
        *[("14", value) for value in ("Germany", 999, True, ["1"])],
        *[("4", value) for value in ("24.12.1990", "1990-12-24 10:00", "1990-02-30", 19901224)],
        *[("1", value) for value in (5, True, ["Ana"], "x" * 61)],
        ("18", "x" * 256),
        *[(name, "1") for name in ("0", "27", "32", "33", "36", "47", "48")],
        ("uid", "abc"),
    ],
)
def test_an_invalid_value_refuses_its_row(emarsys: Emarsys, field: str, value: object) -> None:
    assert list(errors_of(emarsys, {field: value})) == ["2007"]
    assert emarsys.judge("contacts")["total"] == 0


def test_choices_are_sent_by_id_as_text_or_number(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA, "14": 9, "5": "2"})
    assert emarsys.contact(ANA) == {"email": ANA, "country": "9", "gender": "2"}


def test_multi_choice_wants_a_filled_array(emarsys: Emarsys) -> None:
    field = emarsys.control("fields", {"name": "Likes", "application_type": "multichoice", "choices": ["Tea", "Rum"]})
    name, first = str(field["id"]), next(iter(field["choices"]))
    assert "Array expected" in errors_of(emarsys, {name: first})["2007"]
    assert "No choice provided" in errors_of(emarsys, {name: []})["2007"]
    assert errors_of(emarsys, {name: [int(first)]}) == {}
    assert emarsys.contact(ANA)["likes"] == [first]


def test_numeric_fields_lose_leading_zeros(emarsys: Emarsys) -> None:
    name = str(emarsys.data("POST", "field", {"name": "Points", "application_type": "numeric"})["id"])
    emarsys.upsert({"3": ANA, name: "007.50"})
    assert emarsys.contact(ANA)["points"] == "7.50"
    for wrong in ("1,5", "12 EUR", "9" * 25, True):
        assert "2007" in errors_of(emarsys, {name: wrong})


def test_a_voucher_field_cannot_be_written(emarsys: Emarsys) -> None:
    name = str(emarsys.control("fields", {"name": "Code", "application_type": "voucher"})["id"])
    assert "voucher" in errors_of(emarsys, {name: "X"})["2007"]


def test_system_fields_lose_text_from_a_four_byte_character_on(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA, "1": "Ana 🍞 Lee"})
    assert emarsys.contact(ANA)["first_name"] == "Ana "


def test_body_keys_are_numeric_field_ids(emarsys: Emarsys) -> None:
    assert list(errors_of(emarsys, {"first_name": "Ana"})) == ["2006"]
    assert list(errors_of(emarsys, {"90001": "x"})) == ["2006"]


def test_text_overflow_and_read_only_can_be_lenient(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"text_overflow": "truncate", "read_only": "ignored"})
    assert errors_of(emarsys, {"1": "x" * 70, "33": "web"}) == {}
    assert emarsys.contact(ANA)["first_name"] == "x" * 60


def test_an_invalid_value_may_refuse_the_whole_batch(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"invalid_value_scope": "batch"})
    body = {"contacts": [{"3": BO}, {"3": ANA, "5": "99"}]}
    assert emarsys.refused("PUT", "contact?create_if_not_exists=1", body) == (400, 2007)
    assert emarsys.judge("contacts")["total"] == 0


@pytest.mark.parametrize(("shape", "expected"), [("array", []), ("object", {})])
def test_no_errors_may_be_an_empty_array_or_object(emarsys: Emarsys, shape: str, expected: object) -> None:
    emarsys.control("switches", {"errors_empty_shape": shape})
    assert emarsys.upsert({"3": ANA})["errors"] == expected


def test_a_missing_key_value_is_2005(emarsys: Emarsys) -> None:
    errors = emarsys.upsert({"1": "Ana"}, {"3": "not-an-address"})["errors"]
    assert {key: list(codes) for key, codes in errors.items()} == {"": ["2005"], "not-an-address": ["2005"]}


def test_an_update_of_an_unknown_contact_is_2008_without_the_create_flag(emarsys: Emarsys) -> None:
    data = emarsys.data("PUT", "contact", {"key_id": "3", "contacts": [{"3": NOBODY}]})
    assert list(data["errors"][NOBODY]) == ["2008"]


def test_id_and_uid_cannot_create(emarsys: Emarsys) -> None:
    assert list(emarsys.upsert({"id": "5", "1": "Ana"}, key_id="id")["errors"]["5"]) == ["2004"]
    emarsys.upsert({"3": ANA})
    assert emarsys.upsert({"id": "100000001", "1": "Ana"}, key_id="id") == {"ids": ["100000001"]}


def test_a_misspelt_key_field_is_2004_with_an_empty_id(emarsys: Emarsys) -> None:
    for method, path, body in (
        ("PUT", "contact", {"keyID": "3", "contacts": [{"3": ANA}]}),
        ("PUT", "contact", {"keyID": "3", "3": ANA}),
        ("POST", "contact/getdata", {"key_id": "3", "keyValues": [ANA]}),
        ("POST", "contact/checkids", {"keyId": "3", "external_ids": [ANA]}),
    ):
        answer = emarsys.call(method, path, body)
        expected = {"replyCode": 2004, "replyText": "Invalid key field id: ", "data": ""}
        assert (answer.status_code, answer.json()) == (400, expected), path


def test_only_indexed_fields_are_keys(emarsys: Emarsys) -> None:
    plain = str(emarsys.data("POST", "field", {"name": "Loyalty card", "application_type": "shorttext"})["id"])
    key = str(emarsys.data("POST", "field", {"name": "Cin7 customer id", "application_type": "shorttext"})["id"])
    body = {"key_id": plain, "contacts": [{plain: "L-1"}]}
    assert emarsys.refused("PUT", "contact?create_if_not_exists=1", body) == (400, 2004)
    assert emarsys.upsert({key: "C-1", "3": ANA}, key_id=key) == {"ids": [100_000_001]}
    assert emarsys.upsert({key: "C-1", "3": BO}, key_id="cin7_customer_id") == {"ids": ["100000001"]}
    assert emarsys.contact(BO)["cin7_customer_id"] == "C-1"
    emarsys.control("switches", {"indexed_fields": ["loyalty_card"]})
    assert emarsys.upsert({plain: "L-1", "3": NOBODY}, key_id=plain) == {"ids": [100_000_002]}


def test_taking_another_contacts_address_is_2009(emarsys: Emarsys) -> None:
    key = str(emarsys.data("POST", "field", {"name": "External id", "application_type": "shorttext"})["id"])
    emarsys.upsert({"3": ANA}, {"3": BO, key: "C-2"})
    assert list(emarsys.upsert({key: "C-2", "3": ANA}, key_id=key)["errors"]["C-2"]) == ["2009"]
    emarsys.control("switches", {"email_conflict": "duplicate"})
    emarsys.upsert({key: "C-2", "3": ANA}, key_id=key)
    assert [row["email"] for row in emarsys.judge("contacts")["contacts"]] == [ANA, ANA]


def test_the_single_form_answers_with_one_id_or_400(emarsys: Emarsys) -> None:
    path = "contact?create_if_not_exists=1"
    assert emarsys.data("PUT", path, {"key_id": "3", "3": ANA, "1": "Ana"}) == {"id": 100_000_001}
    assert emarsys.data("PUT", path, {"3": ANA, "1": "Anna"}) == {"id": "100000001"}
    assert emarsys.refused("PUT", path, {"3": ANA, "5": "99"}) == (400, 2007)
    assert emarsys.refused("POST", "contact", {"3": ANA}) == (400, 2009)


def test_creating_an_existing_contact_is_2009(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA})
    data = emarsys.data("POST", "contact", {"key_id": "3", "contacts": [{"3": ANA}, {"3": BO}]})
    assert data["ids"] == [100_000_002]
    assert list(data["errors"][ANA]) == ["2009"]


def test_a_new_key_twice_in_one_batch_races_with_itself(emarsys: Emarsys) -> None:
    data = emarsys.upsert({"3": ANA, "1": "Ana"}, {"3": ANA, "1": "Anna"})
    assert list(data["errors"][ANA]) == ["2009"]
    assert emarsys.contact(ANA)["first_name"] == "Ana"


def test_several_contacts_with_one_address_are_2010(emarsys: Emarsys) -> None:
    for _ in range(2):
        emarsys.control("contacts", {"email": ANA, "duplicate": True})
    assert list(emarsys.upsert({"3": ANA})["errors"][ANA]) == ["2010"]
    data = emarsys.data("POST", "contact/getdata", {"keyId": "3", "keyValues": [ANA], "fields": ["3"]})
    assert data["errors"][0]["errorCode"] == 2010
    found = emarsys.data("GET", f"contact/query/?return=3&3={ANA}")["result"]
    assert len(found) == 2


def test_sizes_are_limited(emarsys: Emarsys) -> None:
    path = "contact?create_if_not_exists=1"
    rows = [{"3": f"c{number}@example.com"} for number in range(1001)]
    assert emarsys.refused("PUT", path, {"contacts": rows}) == (400, 1000)
    assert emarsys.refused("POST", "contact/getdata", {"keyId": "3", "keyValues": ["a"] * 1001}) == (400, 10001)
    assert emarsys.refused("POST", "contact/checkids", {"key_id": "3", "external_ids": ["a"] * 1001}) == (400, 2002)
    big = {"3": ANA, "1": "x" * (8 * 1024 * 1024)}
    assert emarsys.call("PUT", path, big).status_code == 413
    assert emarsys.refused("POST", "contact", big) == (400, 2007)


@pytest.mark.parametrize(
    ("extra", "code"), [({"nonsense": 1}, 10001), ({"contact_list_id": 1}, 2020), ({"source_id": 1}, 2013)]
)
def test_unknown_parts_of_a_batch_are_refused(emarsys: Emarsys, extra: dict[str, int], code: int) -> None:
    assert emarsys.refused("PUT", "contact", {"key_id": "3", "contacts": [{"3": ANA}], **extra}) == (400, code)


@pytest.mark.parametrize("contacts", [{}, [], "x", [1]])
def test_contacts_are_an_array_of_objects(emarsys: Emarsys, contacts: object) -> None:
    assert emarsys.refused("PUT", "contact", {"contacts": contacts}) == (400, 10001)


def test_addresses_differ_by_letter_case_unless_switched(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA})
    assert emarsys.upsert({"3": ANA.upper()}) == {"ids": [100_000_002]}
    emarsys.control("switches", {"email_case": "insensitive"})
    assert "2010" in emarsys.upsert({"3": "Ana@Example.com"})["errors"]["Ana@Example.com"]


@pytest.mark.parametrize(("mode", "contacts"), [("created", 1), ("lost", 0)])
def test_overlapping_upserts_of_a_new_contact_race(emarsys: Emarsys, mode: str, contacts: int) -> None:
    emarsys.control("switches", {"race": mode, "race_window": 0.3})
    emarsys.token()
    emarsys.call("GET", "settings")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: emarsys.upsert({"3": ANA}), range(2)))
    refusals = [list(answer["errors"][ANA].items()) for answer in answers if "errors" in answer]
    assert len(refusals) == 2 - contacts
    assert all(code == "2009" and "already exists" in text for [(code, text)] in refusals)
    assert emarsys.judge("contacts")["total"] == contacts
    assert "errors" not in emarsys.upsert({"3": ANA})


def test_getdata_returns_text_or_null_and_errors_as_an_array(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA, "1": "Ana", "31": 1})
    body = {"keyId": "3", "keyValues": [ANA, NOBODY], "fields": ["1", "2", "3", "31"]}
    data = emarsys.data("POST", "contact/getdata", body)
    assert data["errors"] == [
        {"key": NOBODY, "errorCode": 2008, "errorMsg": "No contact found with the external id: 3"}
    ]
    uid = data["result"][0].pop("uid")
    assert len(uid) == 11
    assert data["result"] == [{"id": "100000001", "1": "Ana", "2": None, "3": ANA, "31": "1"}]


def test_getdata_finds_nobody_as_false(emarsys: Emarsys) -> None:
    assert emarsys.data("POST", "contact/getdata", {"keyId": "3", "keyValues": [NOBODY]})["result"] is False


def test_getdata_answers_in_another_order(emarsys: Emarsys) -> None:
    keys = [f"c{number}@example.com" for number in range(50)]
    emarsys.upsert(*({"3": key} for key in keys))
    result = emarsys.data("POST", "contact/getdata", {"keyId": "3", "keyValues": keys, "fields": ["3"]})["result"]
    found = [row["3"] for row in result]
    assert sorted(found) == sorted(keys)
    assert found != keys


def test_getdata_without_fields_returns_all_and_refuses_unknown_ones(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA})
    row = emarsys.data("POST", "contact/getdata", {"keyId": "3", "keyValues": [ANA]})["result"][0]
    assert {"1", "31", "46", "48"} <= set(row)
    body = {"keyId": "3", "keyValues": [ANA], "fields": ["90001"]}
    assert emarsys.refused("POST", "contact/getdata", body) == (400, 2006)


def test_registration_is_vienna_time_without_zone(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA})
    body = {"keyId": "3", "keyValues": [ANA], "fields": ["48"]}
    text = emarsys.data("POST", "contact/getdata", body)["result"][0]["48"]
    assert len(text) == 19
    assert text[:13] != emarsys.clock.now().strftime("%Y-%m-%d %H")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("3=a", 2014),
        ("return=3&1=Ana", 2015),
        ("return=3&3=a&limit=0", 2016),
        ("return=3&3=a&limit=10001", 2016),
        ("return=3", 1001),
    ],
)
def test_wrong_queries_are_refused(emarsys: Emarsys, query: str, code: int) -> None:
    assert emarsys.refused("GET", f"contact/query/?{query}") == (400, code)


def test_a_query_pages_and_an_empty_value_selects_empty_fields(emarsys: Emarsys) -> None:
    name = str(emarsys.data("POST", "field", {"name": "External id", "application_type": "shorttext"})["id"])
    emarsys.upsert({"3": ANA, name: "C-1"}, {"3": BO}, {"3": NOBODY})
    result = emarsys.data("GET", f"contact/query/?return=3&{name}=&limit=1&offset=1")["result"]
    assert result == [{"id": "100000003", "3": NOBODY}]


def test_checkids_maps_keys_to_ids(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA})
    data = emarsys.data("POST", "contact/checkids", {"key_id": "3", "external_ids": [ANA, NOBODY]})
    assert data["ids"] == {ANA: "100000001"}
    assert data["errors"] == {NOBODY: {"2008": "No contact found with the external id: 3"}}
    assert emarsys.refused("POST", "contact/checkids", {"key_id": "3", "external_ids": ANA}) == (400, 2003)


def test_delete_counts_and_a_single_unknown_contact_is_404(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA}, {"3": BO})
    data = emarsys.data("POST", "contact/delete", {"key_id": "3", "3": [ANA, NOBODY]})
    assert data["deleted_contacts"] == 1
    assert list(data["errors"]) == [NOBODY]
    assert emarsys.refused("POST", "contact/delete", {"3": NOBODY}) == (404, 2008)
    assert [row["email"] for row in emarsys.judge("contacts")["contacts"]] == [BO]


def test_somebody_edits_and_deletes_in_the_ui(emarsys: Emarsys) -> None:
    assert emarsys.control("contacts", {"email": ANA, "fields": {"optin": "1"}})["created"] is True
    assert emarsys.control("contacts", {"email": ANA, "fields": {"optin": 2}})["created"] is False
    assert emarsys.contact(ANA)["optin"] == "2"
    assert emarsys.judge("consents")["consents"][-1]["by"] == "ui"
    assert emarsys.http.post("/_sandbox/contacts", json={"email": ANA, "fields": {"nonsense": 1}}).status_code == 400
    assert emarsys.control("contacts", {"email": ANA}, method="DELETE") == {"deleted": 1}
    assert emarsys.judge("contacts")["total"] == 0


def test_partial_reject_refuses_some_rows_of_a_batch(emarsys: Emarsys) -> None:
    emarsys.faults.set([{"name": "partial-reject", "path": "/contact", "count": 2, "times": 1}])
    rows = [{"3": f"c{number}@example.com"} for number in range(5)]
    data = emarsys.upsert(*rows)
    assert (len(data["ids"]), len(data["errors"])) == (3, 2)
    assert all(list(codes) == ["2007"] for codes in data["errors"].values())
    stored = {row["email"] for row in emarsys.judge("contacts")["contacts"]}
    assert stored == {row["3"] for row in rows} - set(data["errors"])
    assert "errors" not in emarsys.upsert(*rows)


@pytest.mark.parametrize(("mode", "key"), [("case", "ANA@EXAMPLE.COM"), ("alien", "alien-0@example.com")])
def test_partial_reject_may_name_a_key_that_was_not_sent(emarsys: Emarsys, mode: str, key: str) -> None:
    emarsys.faults.set([{"name": "partial-reject", "mode": mode, "code": 2009, "message": "already exists"}])
    assert emarsys.upsert({"3": ANA}) == {"ids": [], "errors": {key: {"2009": "already exists"}}}


def test_an_answer_that_got_lost_was_still_applied(emarsys: Emarsys) -> None:
    emarsys.faults.set([{"name": "applied-then-503", "path": "/contact", "times": 1}])
    body = {"contacts": [{"3": ANA}]}
    assert emarsys.call("PUT", "contact?create_if_not_exists=1", body).status_code == 503
    assert emarsys.judge("contacts")["total"] == 1


def test_the_judge_pages(emarsys: Emarsys) -> None:
    emarsys.upsert(*({"3": f"c{number}@example.com"} for number in range(5)))
    page = emarsys.judge("contacts", limit=2, offset=3)
    assert page["total"] == 5
    assert [row["email"] for row in page["contacts"]] == ["c3@example.com", "c4@example.com"]
    assert set(page["contacts"][0]) == {"email", "fields", "created_at", "generated"}


def test_not_a_number_is_not_json(emarsys: Emarsys) -> None:
    token = emarsys.token().json()["access_token"]
    body = json.dumps({"contacts": [{"3": ANA, "90001": float("nan")}]})
    answer = emarsys.http.put("/api/v3/contact", content=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["replyCode"] == 1010
