"""The process: start, environment, stop."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cin7_emarsys.sandbox.cin7.paging import Pager
from cin7_emarsys.sandbox.cin7.params import Params
from cin7_emarsys.sandbox.cin7.routes import Routes
from cin7_emarsys.sandbox.cin7.switches import Switches
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.faults import Faults
from cin7_emarsys.sandbox.merchant.world import Merchant
from cin7_emarsys.sandbox.server import serve
from cin7_emarsys_tests.sandbox.conftest import NewVendor, Vendor, start, stop

KEYS = {
    "CIN7_BASE_URL", "CIN7_ACCOUNT_ID", "CIN7_APPLICATION_KEY", "CIN7_CALLS_PER_MINUTE", "CIN7_WINDOW_SECONDS",
    "EMARSYS_BASE_URL", "EMARSYS_CLOUD_URL", "EMARSYS_TOKEN_URL", "EMARSYS_CLIENT_ID", "EMARSYS_CLIENT_SECRET",
    "EMARSYS_HAPI_URL", "EMARSYS_INTEGRATION_ID",
    "EMARSYS_MERCHANT_ID", "EMARSYS_SALES_TOKEN", "EMARSYS_CALLS_PER_MINUTE", "EMARSYS_WINDOW_SECONDS", "FEED_USER",
    "FEED_PASSWORD",
}  # fmt: skip


def test_environment(vendor: Vendor) -> None:
    assert set(vendor.env) == KEYS
    assert all(isinstance(value, str) and value for value in vendor.env.values())
    assert vendor.env["CIN7_CALLS_PER_MINUTE"] == vendor.env["EMARSYS_CALLS_PER_MINUTE"] == "30000"
    assert vendor.env["CIN7_WINDOW_SECONDS"] == "1"


def test_both_ports_have_the_controls(vendor: Vendor) -> None:
    other = vendor.env["EMARSYS_BASE_URL"].removesuffix("/api")
    assert vendor.http.get(f"{other}/_sandbox/faults").json() == []
    done = vendor.http.post(f"{other}/_sandbox/merchant", json={"do": "order", "sku": "GLOVE-L"}).json()
    assert vendor.get("sale", ID=done["sale_id"])["ID"] == done["sale_id"]


def test_env_file_is_private_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.env"
    vendor = start(env_file=str(path))
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        lines = dict(line.split("=", 1) for line in path.read_text().splitlines())
        assert lines == vendor.env
    finally:
        began = time.monotonic()
        assert stop(vendor) == ""
    assert time.monotonic() - began < 2
    assert vendor.process.returncode == 0
    assert not path.exists()


def test_stops_in_time_while_a_slow_call_is_under_way(new_vendor: NewVendor) -> None:
    vendor = new_vendor()
    vendor.faults({"name": "slow", "seconds": 30})
    command = "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1]), timeout=20)"
    waiting = subprocess.Popen(
        [sys.executable, "-c", command, f"{vendor.env['CIN7_BASE_URL']}/me"], stderr=subprocess.DEVNULL
    )
    while vendor.http.get(f"{vendor.root}/_sandbox/faults").json()[0]["fired"] == 0:
        time.sleep(0.02)
    began = time.monotonic()
    assert stop(vendor) == ""
    assert time.monotonic() - began < 2.5
    waiting.wait(timeout=10)


def test_a_used_port_is_named(vendor: Vendor) -> None:
    port = int(vendor.root.rsplit(":", 1)[1])
    with pytest.raises(OSError, match=str(port)):
        serve(cin7_port=port)
    with pytest.raises(ValueError, match="fast"):
        serve(limits="none")
    with pytest.raises(ValueError, match="small"):
        serve(scale="galaxy")


def test_same_seed_same_merchant() -> None:
    def pages(seed: int) -> list[str]:
        routes = Routes(Merchant(Clock(), seed=seed), Switches(), Pager(Faults()))
        limit = Params(b"Limit=1000", reject_z=False)
        return [routes.table[path](limit, "/x") for path in ("salelist", "product", "customer", "ref/location")]

    assert pages(5) == pages(5)
    assert all(one != other for one, other in zip(pages(5), pages(6), strict=True))


def test_it_stays_quick(vendor: Vendor) -> None:
    ids = [row["SaleID"] for row in vendor.rows("saleList", "SaleList")][:200]
    began = time.monotonic()
    for ident in ids:
        vendor.raw("sale", ID=ident)
    assert time.monotonic() - began < 2
