"""One sandbox process for the tests of the vendors, a merchant as plain object for the tests of the business."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.merchant.actions import Actions
from cin7_emarsys.sandbox.merchant.world import Merchant

_START = "import json, sys; from pathlib import Path; from cin7_emarsys.sandbox.server import serve; k = json.loads("
_START += "sys.argv[1]); k.update({n: Path(k[n]) for n in ('history', 'env_file') if n in k}); serve(**k)"


@dataclass
class Vendor:
    """A running sandbox seen from outside."""

    process: subprocess.Popen[str]
    env: dict[str, str]
    http: httpx.Client

    @property
    def root(self) -> str:
        return self.env["CIN7_BASE_URL"].removesuffix("/ExternalApi/v2")

    @property
    def headers(self) -> dict[str, str]:
        return {
            "api-auth-accountid": self.env["CIN7_ACCOUNT_ID"],
            "api-auth-applicationkey": self.env["CIN7_APPLICATION_KEY"],
        }

    def raw(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(f"{self.env['CIN7_BASE_URL']}/{path}", params=query, headers=self.headers)

    def get(self, path: str, **query: Any) -> Any:
        response = self.raw(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def rows(self, path: str, key: str, limit: int = 1000, **query: Any) -> list[dict[str, Any]]:
        """All pages, as a careful client reads them."""
        rows: list[dict[str, Any]] = []
        for page in range(1, 1000):
            answer = self.get(path, Page=page, Limit=limit, **query)
            rows += answer[key] or []
            if len(rows) >= answer["Total"] or not answer[key]:
                break
        return rows

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        response = self.http.post(f"{self.root}/_sandbox/{path}", json=body)
        assert response.status_code == status, response.text
        return response.json()

    def act(self, name: str, /, **parameters: Any) -> dict[str, Any]:
        return dict(self.post("merchant", {"do": name, **parameters}))

    def faults(self, *specs: dict[str, Any]) -> None:
        assert self.http.put(f"{self.root}/_sandbox/faults", json=list(specs)).status_code == 200

    def ledger(self, **query: Any) -> dict[str, dict[str, Any]]:
        """Per SKU: Σ on hand, Σ allocated, truth."""
        answer = self.http.get(f"{self.root}/_sandbox/ledger", params={"limit": 100_000, **query}).json()
        found: dict[str, dict[str, Any]] = {}
        for row in answer["rows"]:
            entry = found.setdefault(row["sku"], {"on_hand": 0.0, "allocated": 0.0, "truth": row["sellable_truth"]})
            entry["on_hand"] += row["on_hand"]
            entry["allocated"] += row["allocated"]
        return found


def start(**options: Any) -> Vendor:
    options = {"json_output": True, **options}
    process = subprocess.Popen(
        [sys.executable, "-c", _START, json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        assert process.stderr is not None
        raise RuntimeError(process.stderr.read())
    return Vendor(process, json.loads(line), httpx.Client(timeout=20))


def stop(vendor: Vendor) -> str:
    """Stops it and gives back what it wrote on stderr."""
    vendor.http.close()
    vendor.process.terminate()
    _, errors = vendor.process.communicate(timeout=10)
    return errors


@pytest.fixture(scope="session")
def _vendor() -> Iterator[Vendor]:
    vendor = start()
    yield vendor
    assert stop(vendor) == ""


@pytest.fixture
def vendor(_vendor: Vendor) -> Iterator[Vendor]:
    """The shared sandbox; a test leaves no faults and no changed switches behind."""
    yield _vendor
    _vendor.faults()
    _vendor.post(
        "switches",
        {
            "unknown_route_404": False, "throttle_mode": "429", "fixed_window": False, "reject_z": False,
            "customer_cap_100": False, "null_when_empty": False, "product_ignores_page": False,
            "credit_note_as_sale": True, "credit_note_of_sales_only": False, "duplicate_tier_names": False,
            "sale_order": "newest", "shopfloor_spelling": "IsShopfloor",
        },
    )  # fmt: skip


NewVendor = Callable[..., Vendor]


@pytest.fixture
def new_vendor() -> Iterator[NewVendor]:
    """Starts sandboxes of the test's own."""
    started: list[Vendor] = []

    def begin(**options: Any) -> Vendor:
        started.append(start(**options))
        return started[-1]

    yield begin
    for vendor in started:
        if vendor.process.returncode is None:
            assert stop(vendor) == ""


@pytest.fixture
def merchant() -> Merchant:
    return Merchant(Clock(), seed=1)


@pytest.fixture
def act(merchant: Merchant) -> Callable[..., dict[str, Any]]:
    actions = Actions(merchant)

    def do(name: str, /, **parameters: Any) -> dict[str, Any]:
        return actions.act({"do": name, **parameters})

    return do
