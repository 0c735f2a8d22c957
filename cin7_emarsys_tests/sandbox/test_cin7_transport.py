"""Headers, routes, parameters and errors of Cin7, over HTTP."""

from __future__ import annotations

import hashlib

import pytest

from cin7_emarsys_tests.sandbox.conftest import NewVendor, Vendor


def test_credentials_are_required_as_headers(vendor: Vendor) -> None:
    url = f"{vendor.env['CIN7_BASE_URL']}/me"
    wrong = {**vendor.headers, "api-auth-applicationkey": "00000000-0000-0000-0000-000000000000"}
    only_account = {"api-auth-accountid": vendor.env["CIN7_ACCOUNT_ID"]}
    for headers in ({}, wrong, only_account):
        response = vendor.http.get(url, headers=headers, params=vendor.headers)
        assert response.status_code == 403
        assert response.json()[0]["ErrorCode"] == 403
    assert vendor.http.get(url, headers=vendor.headers).json()["Currency"] == "AUD"


def test_unknown_route_is_html_with_200(vendor: Vendor) -> None:
    for path in ("saleOrderList", "ref/nothing", "../v3/me"):
        response = vendor.raw(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")
    vendor.post("switches", {"unknown_route_404": True})
    assert vendor.raw("saleOrderList").status_code == 404


def test_paths_and_parameters_in_any_case(vendor: Vendor) -> None:
    root = vendor.root
    for path in ("/externalapi/v2/SALELIST?page=2&LIMIT=7", "/ExternalApi/V2/salelist?PAGE=2&limit=7"):
        answer = vendor.http.get(root + path, headers=vendor.headers).json()
        assert (answer["Page"], len(answer["SaleList"])) == (2, 7)
    assert vendor.get("product", sku="TEE-RED-S")["Total"] == vendor.get("Product", Sku="tee-red-s")["Total"] == 1


def test_unknown_parameters_are_ignored(vendor: Vendor) -> None:
    assert vendor.get("product", ModifedSince="2099-01-01")["Total"] == vendor.get("product")["Total"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("saleList", {"UpdatedSince": "yesterday"}),
        ("saleList", {"UpdatedSince": "2026-02-31"}),
        ("product", {"ModifiedSince": "2026-01-01T00:00:00+10:00"}),
        ("product", {"Page": "x"}),
        ("product", {"Limit": "0"}),
        ("product", {"IncludeBOM": "maybe"}),
        ("sale", {}),
        ("sale", {"ID": "4642e6ba-f6b5-767b-0863-000000000000"}),
        ("sale/creditnote", {"SaleID": "nonsense"}),
        ("product/attachments", {}),
    ],
)
def test_bad_requests_carry_the_error_array(vendor: Vendor, path: str, query: dict[str, str]) -> None:
    response = vendor.raw(path, **query)
    assert response.status_code == 400
    assert response.json()[0]["Exception"]
    assert response.json()[0]["ErrorCode"] in (400, 404)


def test_z_is_understood_unless_switched_off(vendor: Vendor) -> None:
    moment = "2020-01-01T00:00:00.123Z"
    total = vendor.get("saleList", UpdatedSince=moment)["Total"]
    assert total == vendor.get("saleList", UpdatedSince=moment[:-1])["Total"]
    vendor.post("switches", {"reject_z": True})
    assert vendor.raw("saleList", UpdatedSince=moment).status_code == 400
    assert vendor.raw("saleList", UpdatedSince=moment[:-1]).status_code == 200


def test_other_verbs_are_refused(vendor: Vendor) -> None:
    response = vendor.http.post(f"{vendor.env['CIN7_BASE_URL']}/product", headers=vendor.headers, json={})
    assert response.status_code == 405


def test_no_limit_headers_on_200_and_the_request_log(vendor: Vendor) -> None:
    response = vendor.raw("saleList", Page=1, Limit=3, Search="ODD-SIMPLE")
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]
    assert "server" not in response.headers
    total = vendor.http.get(f"{vendor.root}/_sandbox/requests", params={"limit": 0}).json()["total"]
    log = vendor.http.get(f"{vendor.root}/_sandbox/requests", params={"limit": 1, "offset": total - 1}).json()
    entry = log["requests"][0]
    key = hashlib.sha256(vendor.env["CIN7_APPLICATION_KEY"].encode()).hexdigest()[:8]
    assert entry["path"] == "/ExternalApi/v2/saleList?Page=1&Limit=3&Search=ODD-SIMPLE"
    assert (entry["method"], entry["status"], entry["key"]) == ("GET", 200, key)
    assert entry["bytes"] == len(response.content)
    assert vendor.env["CIN7_APPLICATION_KEY"] not in str(log)


def test_judges_are_paged_and_strict(vendor: Vendor) -> None:
    url = f"{vendor.root}/_sandbox/ledger"
    whole = vendor.http.get(url, params={"limit": 100_000}).json()
    part = vendor.http.get(url, params={"limit": 5, "offset": 10}).json()
    assert part["total"] == whole["total"] == len(whole["rows"])
    names = ("sku", "location", "bin", "on_hand", "allocated", "sellable_truth")
    assert [[row[n] for n in names] for row in part["rows"]] == [[r[n] for n in names] for r in whole["rows"][10:15]]
    assert list(part["rows"][0]) == [*names, "at"]
    for query in ({"limit": "x"}, {"at": "noon"}):
        assert vendor.http.get(url, params=query).status_code == 400


def test_real_limit_slides_and_names_its_window(new_vendor: NewVendor) -> None:
    vendor = new_vendor(limits="real", window_seconds=1.5)
    assert vendor.env["CIN7_CALLS_PER_MINUTE"] == "50"
    assert vendor.env["EMARSYS_CALLS_PER_MINUTE"] == "800"
    assert vendor.env["CIN7_WINDOW_SECONDS"] == vendor.env["EMARSYS_WINDOW_SECONDS"] == "1.5"
    statuses = [vendor.raw("me").status_code for _ in range(63)]
    assert statuses == [200] * 60 + [429] * 3
    refused = vendor.raw("me")
    assert refused.headers["retry-after"] == "2 Seconds"
    assert refused.headers["x-ratelimit-limit"] == "60"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert "60 calls per 60 seconds" in refused.json()[0]["Exception"]
    for mode, status in (("503", 503), ("400-message", 400)):
        vendor.post("switches", {"throttle_mode": mode})
        refused = vendor.raw("me")
        assert refused.status_code == status
        assert "retry-after" not in refused.headers
        assert "60 calls per 60 seconds" in refused.json()[0]["Exception"]


def test_switches_are_checked(vendor: Vendor) -> None:
    assert "throttle_mode" in vendor.post("switches", {"throtle": "429"}, status=400)["error"]
    assert "503" in vendor.post("switches", {"throttle_mode": "418"}, status=400)["error"]
    assert vendor.post("switches", {})["throttle_mode"] == "429"
