"""Tokens, permissions, the rate limit, headers and the envelope."""

from base64 import b64encode

import httpx
import pytest

from cin7_emarsys.sandbox.emarsys import CREDENTIALS

from .conftest import Emarsys, NewEmarsys

BASIC = (CREDENTIALS["EMARSYS_CLIENT_ID"], CREDENTIALS["EMARSYS_CLIENT_SECRET"])


def test_a_token_is_bearer_and_says_how_long_it_lives(emarsys: Emarsys) -> None:
    answer = emarsys.token().json()
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("bearer", 3600, "")
    assert answer["access_token"].count(".") == 2


def test_wrong_client_credentials_get_invalid_client(emarsys: Emarsys) -> None:
    form = {"grant_type": "client_credentials"}
    for headers in ({"Authorization": f"Basic {b64encode(b'sandbox-client:wrong').decode()}"}, {}):
        answer = emarsys.http.post("/oauth2/token", headers=headers, data=form)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_credentials_in_the_body_are_not_accepted(emarsys: Emarsys) -> None:
    form = {"grant_type": "client_credentials", "client_id": BASIC[0], "client_secret": BASIC[1]}
    assert emarsys.http.post("/oauth2/token", data=form).status_code == 401


def test_only_the_client_credentials_grant_exists(emarsys: Emarsys) -> None:
    answer = emarsys.http.post("/oauth2/token", auth=BASIC, data={"grant_type": "password"})
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


def test_a_call_without_token_is_401_in_the_envelope(emarsys: Emarsys) -> None:
    for headers in ({}, {"Authorization": "Bearer foreign"}, {"X-WSSE": 'UsernameToken Username="acme"'}):
        answer = emarsys.http.get("/api/v3/settings", headers=headers)
        assert (answer.status_code, answer.json()["replyCode"], answer.json()["data"]) == (401, 1, "")


def test_a_token_expires_by_the_sandbox_clock(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"token_lifetime": 5})
    assert emarsys.call("GET", "settings").status_code == 200
    emarsys.clock.advance(6)
    assert emarsys.call("GET", "settings").status_code == 401


def test_revoked_tokens_end_at_once(emarsys: Emarsys) -> None:
    assert emarsys.call("GET", "settings").status_code == 200
    assert emarsys.control("tokens/revoke") == {"revoked": 1}
    assert emarsys.call("GET", "settings").status_code == 401


def test_a_missing_permission_is_403_without_a_reply_code(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"permissions": {"contact.getdata": False}})
    answer = emarsys.call("POST", "contact/getdata", {"keyId": "3", "keyValues": ["a@example.com"]})
    assert answer.status_code == 403
    assert "replyCode" not in answer.json()
    assert emarsys.call("GET", "settings").status_code == 200


def test_an_upsert_that_creates_needs_the_create_permission_too(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"permissions": {"contact.create": False}})
    body = {"contacts": [{"3": "a@example.com"}]}
    assert emarsys.call("PUT", "contact?create_if_not_exists=1", body).status_code == 403
    assert emarsys.call("PUT", "contact", body).status_code == 200


def test_calls_over_the_limit_get_7003_until_the_reset(new_emarsys: NewEmarsys) -> None:
    emarsys = new_emarsys(calls_per_window=2)
    first, second = emarsys.call("GET", "settings"), emarsys.call("GET", "settings")
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("2", "1")
    assert (second.status_code, second.headers["x-ratelimit-remaining"]) == (200, "0")
    third = emarsys.call("GET", "settings")
    assert (third.status_code, third.json()["replyCode"], third.json()["data"]) == (429, 7003, "")
    assert "retry-after" not in third.headers
    wait = int(third.headers["x-ratelimit-reset"]) - emarsys.clock.now().timestamp()
    assert 58 < wait <= 61
    emarsys.clock.advance(wait)
    assert emarsys.call("GET", "settings").status_code == 200


def test_a_429_may_be_the_bare_answer_of_the_gateway(new_emarsys: NewEmarsys) -> None:
    emarsys = new_emarsys(calls_per_window=1)
    emarsys.control("switches", {"throttle_body": "bare", "retry_after": True})
    emarsys.call("GET", "settings")
    answer = emarsys.call("GET", "settings")
    assert answer.json() == {"message": "API rate limit exceeded"}
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_a_throttle_fault_looks_like_an_exhausted_window(emarsys: Emarsys) -> None:
    emarsys.faults.set([{"name": "throttle-429", "service": "emarsys", "path": "/settings", "times": 1}])
    answer = emarsys.call("GET", "settings")
    assert (answer.status_code, answer.json()["replyCode"], answer.headers["x-ratelimit-remaining"]) == (429, 7003, "0")
    assert int(answer.headers["x-ratelimit-reset"]) > emarsys.clock.now().timestamp()
    assert emarsys.call("GET", "settings").status_code == 200


def test_every_core_answer_carries_the_vendors_headers_and_the_sandbox_date(emarsys: Emarsys) -> None:
    emarsys.clock.advance(86_400 * 365)
    answer = emarsys.http.get("/api/v3/settings")
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-suite-response-time")
    assert all(name in answer.headers for name in (*names, "x-emarsys-request-id"))
    assert str(emarsys.clock.now().year) in answer.headers["date"]


def test_correct_json_may_come_as_html(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"content_type_html": True})
    answer = emarsys.call("GET", "settings")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.json()["replyCode"] == 0


@pytest.mark.parametrize(
    "path", ["settings", "settings/", "event", "event/", "field/translate/en", "field/translate/en/"]
)
def test_a_trailing_slash_makes_no_difference(emarsys: Emarsys, path: str) -> None:
    assert emarsys.call("GET", path).status_code == 200


def test_a_body_that_is_not_json_is_1010_and_a_wrong_method_1009(emarsys: Emarsys) -> None:
    token = emarsys.token().json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = emarsys.http.put("/api/v3/contact", content=b"{'3': 1}", headers=headers)
    assert (answer.status_code, answer.json()["replyCode"]) == (400, 1010)
    assert emarsys.refused("PATCH", "contact", {}) == (400, 1009)


def test_an_unknown_call_is_404(emarsys: Emarsys) -> None:
    assert emarsys.call("GET", "nonsense").status_code == 404
    assert emarsys.http.get("/api/v2/settings").status_code == 404


def test_the_health_check_needs_no_token(emarsys: Emarsys) -> None:
    assert emarsys.http.get("/healthcheck").status_code == 200


def test_an_unknown_switch_is_refused(emarsys: Emarsys) -> None:
    for wrong in ({"nonsense": 1}, {"permissions": {"nonsense": True}}, {"race": "maybe"}, {"sales_header": "item"}):
        assert emarsys.http.post("/_sandbox/switches", json=wrong).status_code == 400
    assert emarsys.http.get("/_sandbox/switches").json()["race"] == "off"


def test_the_judge_lists_the_calls_with_a_fingerprint_of_the_credential(emarsys: Emarsys) -> None:
    emarsys.call("GET", "settings")
    with httpx.Client(base_url=emarsys.http.base_url, trust_env=False) as stranger:
        stranger.get("/api/v3/event?x=1")
    calls = emarsys.judge("requests")["requests"]
    assert [(call["method"], call["path"], call["status"]) for call in calls] == [
        ("POST", "/oauth2/token", 200),
        ("GET", "/api/v3/settings", 200),
        ("GET", "/api/v3/event?x=1", 401),
    ]
    assert calls[1]["key"]
    assert calls[2]["key"] == ""
