"""The Engagement Cloud edition: access, and contacts one per call."""

from typing import Any

import pytest

from .conftest import Emarsys

ANA = {"firstName": "Ana", "lastName": "Lee", "primaryEmail": "ana@example.com", "businessAreaIds": ["DE"]}
AT_ANA = "contact/v1/contacts(primaryEmail=ana%40example.com)"


def create(cloud: Emarsys, **more: Any) -> Any:
    answer = cloud.cloud("POST", "contact/v1/contacts", {**ANA, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer: Any) -> tuple[int, str, str]:
    shown = answer.json()["error"]
    return answer.status_code, shown["code"], shown["message"]


def test_an_account_has_the_calls_of_its_own_edition_only(emarsys: Emarsys) -> None:
    assert emarsys.cloud("GET", AT_ANA).status_code == 404
    assert emarsys.cloud("GET", AT_ANA).json() == {"message": "no Route matched with those values"}
    emarsys.control("switches", {"edition": "engagement_cloud"})
    assert error(emarsys.cloud("GET", AT_ANA))[:2] == (404, "not-found-error")
    assert emarsys.call("GET", "settings").status_code == 404
    assert emarsys.sell("A,1.00,SO-1,2026-11-22T10:15:00Z,ana@example.com,1").status_code == 404


def test_the_token_is_that_of_the_core_api_and_a_refusal_has_the_newer_form(cloud: Emarsys) -> None:
    assert create(cloud)["notSavedContacts"] == []
    assert error(cloud.cloud("GET", AT_ANA, Authorization="Bearer foreign"))[:2] == (401, "GENERIC_ERROR")
    cloud.clock.advance(3601)
    assert cloud.cloud("GET", AT_ANA).status_code == 401


def test_unknown_calls_are_404_and_wrong_methods_405(cloud: Emarsys) -> None:
    assert cloud.cloud("GET", "nonsense").status_code == 404
    assert cloud.cloud("DELETE", AT_ANA).status_code == 405
    assert cloud.cloud("GET", "productItems").status_code == 405


def test_a_contact_is_created_and_read_back(cloud: Emarsys) -> None:
    cloud.control("fields", {"name": "Lifetime value", "application_type": "numeric", "string_id": "ltv"})
    more = {"additionalSystemFields": {"city": "Wien", "optin": "2"}, "extensionFields": {"ltv": 12.5}}
    assert create(cloud, **more) == {
        "contacts": [{"keyFieldValue": "ana@example.com", "contactId": 100000001}],
        "notSavedContacts": [],
    }
    shown = cloud.cloud("GET", AT_ANA).json()
    assert shown.pop("cdpId")
    expected = {**ANA, "genderCode": None, **more, "extensionFields": {"ltv": "12.5"}}
    assert shown == expected
    fields = {"first_name": "Ana", "last_name": "Lee", "email": "ana@example.com", "city": "Wien", "optin": "2"}
    assert cloud.contact("ana@example.com") == {**fields, "ltv": "12.5"}
    assert cloud.judge("consents")["total"] == 1


def test_a_patch_keeps_what_is_absent_and_removes_what_is_null(cloud: Emarsys) -> None:
    create(cloud, additionalSystemFields={"city": "Wien", "phone": "1"})
    patch = {"firstName": "Anna", "lastName": None, "additionalSystemFields": {"city": None}}
    answer = cloud.cloud("PATCH", AT_ANA, patch)
    assert (answer.status_code, answer.json()) == (200, {})
    assert cloud.contact("ana@example.com") == {"first_name": "Anna", "email": "ana@example.com", "phone": "1"}
    assert error(cloud.cloud("PATCH", AT_ANA, {"primaryEmail": None}))[0] == 400
    assert cloud.cloud("PATCH", AT_ANA, {}, **{"Content-Type": "application/json"}).status_code == 400


def test_an_unknown_contact_and_an_unknown_field_are_both_404(cloud: Emarsys) -> None:
    contact = (404, "not-found-error", "The requested contact was not found.")
    assert error(cloud.cloud("PATCH", AT_ANA, {})) == contact
    field = (404, "not-found-error", "The requested field was not found.")
    assert error(cloud.cloud("PATCH", "contact/v1/contacts(email=a%40b.example)", {})) == field
    assert error(cloud.cloud("GET", "contactfield/v1/fields/ltv")) == field
    cloud.control("fields", {"name": "Lifetime value", "application_type": "numeric", "string_id": "ltv"})
    assert cloud.cloud("GET", "contactfield/v1/fields/ltv").status_code == 200
    assert error(cloud.cloud("GET", "contact/v1/contacts(ltv=1)")) == field


def test_an_indexed_extension_field_may_name_the_contact(cloud: Emarsys) -> None:
    cloud.control("fields", {"name": "External id", "application_type": "shorttext", "string_id": "external_id"})
    create(cloud, extensionFields={"external_id": "a/b=c'd"})
    at = "contact/v1/contacts(external_id={})"
    assert cloud.cloud("GET", at.format("a%2Fb%3Dc%27d")).json()["firstName"] == "Ana"
    cloud.control("switches", {"quoted_keys": True})
    assert cloud.cloud("GET", at.format("a%2Fb%3Dc%27d")).status_code == 400
    assert cloud.cloud("GET", at.format("%27a%2Fb%3Dc%27%27d%27")).json()["firstName"] == "Ana"


def test_a_contact_that_exists_is_not_saved_with_200(cloud: Emarsys) -> None:
    create(cloud)
    again = create(cloud, firstName="Bo")
    assert (again["contacts"], again["notSavedContacts"]) == ([], ["ana@example.com"])
    assert again["error"]["code"] == "invalid-request"
    cloud.control("switches", {"unsaved_contact": "refused"})
    assert cloud.cloud("POST", "contact/v1/contacts", ANA).status_code == 400
    assert cloud.contact("ana@example.com")["first_name"] == "Ana"


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"nonsense": 1}, ["nonsense"]),
        ({"contacts": []}, ["contacts"]),
        ({"cdpId": "x"}, ["cdpId"]),
        ({"primaryEmail": "ana"}, ["primaryEmail"]),
        ({"firstName": 1}, ["firstName"]),
        ({"businessAreaIds": "DE"}, ["businessAreaIds"]),
        ({"additionalSystemFields": {"first_name": "Ana"}}, ["additionalSystemFields", "first_name"]),
        ({"additionalSystemFields": {"optin": True}}, ["additionalSystemFields", "optin"]),
        ({"additionalSystemFields": {"country": "Austria"}}, ["additionalSystemFields", "country"]),
        ({"extensionFields": {"city": "Wien"}}, ["extensionFields", "city"]),
        ({"extensionFields": []}, ["extensionFields"]),
    ],
)
def test_what_the_vendor_does_not_have_is_refused(cloud: Emarsys, more: dict[str, Any], path: list[str]) -> None:
    answer = cloud.cloud("POST", "contact/v1/contacts", {**ANA, **more})
    assert answer.status_code == 400
    assert answer.json()["error"]["innererror"]["path"] == path
    assert answer.json()["error"]["target"] == "/contact/v1/contacts"
    assert cloud.judge("contacts")["total"] == 0


def test_a_contact_given_anothers_email_is_refused(cloud: Emarsys) -> None:
    create(cloud)
    create(cloud, primaryEmail="bo@example.com")
    assert cloud.cloud("PATCH", AT_ANA, {"primaryEmail": "bo@example.com"}).status_code == 400


def test_faults_apply_in_the_form_of_this_edition(cloud: Emarsys) -> None:
    names = ("error-200", "auth-expired", "throttle-429", "throttle-503", "server-error", "applied-then-503")
    cloud.faults.set([{"name": name, "path": "/contact", "times": 1} for name in names])
    answers = [cloud.cloud("POST", "contact/v1/contacts", ANA) for _ in names]
    assert [answer.status_code for answer in answers] == [200, 401, 429, 503, 500, 503]
    assert all("error" in answer.json() for answer in answers[:4])
    assert cloud.judge("contacts")["total"] == 1
    cloud.faults.set([{"name": "partial-reject", "path": "/contact", "times": 2}])
    assert create(cloud, primaryEmail="bo@example.com")["notSavedContacts"] == ["bo@example.com"]
    assert cloud.cloud("PATCH", AT_ANA, {"firstName": "Bo"}).status_code == 400
    assert cloud.contact("ana@example.com")["first_name"] == "Ana"


def test_the_judge_lists_the_calls_as_sent(cloud: Emarsys) -> None:
    create(cloud)
    cloud.cloud("GET", AT_ANA)
    calls = cloud.judge("requests")["requests"][1:]
    expected = [("POST", "/ec/contact/v1/contacts", 200), ("GET", f"/ec/{AT_ANA}", 200)]
    assert [(call["method"], call["path"], call["status"]) for call in calls] == expected
