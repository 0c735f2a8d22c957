"""20,000 products in pages of 1,000 → typed table: ours ÷ plain httpx + NDJSON + read_json, and our peak memory.

Both read the same pages from the same server in one run; each runs in a process of its own, so that peak memory is its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.report import Figures, speak
from cin7_emarsys_tests.conftest import PROJECT

GOALS = {"ratio": "≤ 1.5", "peak_mb": "< 200"}
_PRODUCTS, _PAGE = 20_000, 1_000
_RUNS = 3


@cache
def _page(number: int) -> bytes:
    tiers = {f"PriceTier{tier}": 10 + tier / 4 for tier in range(1, 11)}
    attributes = {f"AdditionalAttribute{n}": "" for n in range(1, 11)}
    rows = []
    for n in range((number - 1) * _PAGE, min(number * _PAGE, _PRODUCTS)):
        rows.append(
            {
                "ID": f"{n:08x}-0000-4000-8000-000000000000", "SKU": f"SKU-{n:06}", "Name": f"Product number {n}",
                "Category": "Gifts", "Brand": None, "Type": "Stock", "CostingMethod": "FIFO",
                "DropShipMode": "No Drop Ship", "DefaultLocation": "Main Warehouse", "Length": 0, "Width": 0, "Height": 0,
                "Weight": 0, "UOM": "Item", "WeightUnits": "g", "DimensionsUnits": None, "Barcode": "",
                "MinimumBeforeReorder": 0, "ReorderQuantity": 0, **tiers,
                "PriceTiers": {f"Tier {t}": 10 + t / 4 for t in range(1, 11)}, "AverageCost": 5,
                "ShortDescription": "", "Description": "A product made for this measurement.", "InternalNote": "",
                **attributes, "AttributeSet": None, "DiscountRule": None, "Tags": "Bread,Organic", "Status": "Active",
                "StockLocator": "", "COGSAccount": None, "RevenueAccount": None, "ExpenseAccount": None,
                "InventoryAccount": None, "PurchaseTaxRule": None, "SaleTaxRule": None,
                "LastModifiedOn": "2026-01-26T07:19:37.937Z", "Sellable": True, "PickZones": "", "BillOfMaterial": False,
                "AutoAssembly": False, "AutoDisassembly": False, "QuantityToProduce": 1, "AssemblyInstructionURL": "",
                "AssemblyCostEstimationMethod": "Average Cost", "Suppliers": [], "ReorderLevels": [],
                "BillOfMaterialsProducts": [], "BillOfMaterialsServices": [], "Movements": [],
                "Attachments": [{"ID": f"{n:08x}", "ContentType": "image/jpeg", "FileName": "a.jpg",
                                 "DownloadUrl": f"https://cdn.example.com/{n}.jpg"}],
                "CustomPrices": [], "CartonHeight": 0, "CartonWidth": 0, "CartonLength": 0, "CartonQuantity": 0,
                "CartonInnerQuantity": 0, "HSCode": None, "CountryOfOrigin": None, "CountryOfOriginCode": None,
            }
        )  # fmt: skip
    return json.dumps({"Total": _PRODUCTS, "Page": number, "Products": rows}).encode()


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = _page(int(parse_qs(urlsplit(self.path).query)["Page"][0]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _ours(address: str, folder: str) -> None:
    from dataclasses import replace

    from cin7_emarsys.cin7 import extract
    from cin7_emarsys.cin7.client import Cin7
    from cin7_emarsys.settings import load_settings
    from cin7_emarsys.warehouse.connections import Warehouse

    unused = "00000000-0000-0000-0000-000000000000"
    names = (
        "CIN7_ACCOUNT_ID",
        "CIN7_APPLICATION_KEY",
        "EMARSYS_CLIENT_ID",
        "EMARSYS_CLIENT_SECRET",
        "EMARSYS_MERCHANT_ID",
    )
    os.environ.update(dict.fromkeys((*names, "EMARSYS_SALES_TOKEN", "FEED_USER", "FEED_PASSWORD"), unused))
    os.environ.update(
        CIN7_BASE_URL=address, CIN7_CALLS_PER_MINUTE="10000", MERCHANT_TOML=str(PROJECT / "merchant.toml")
    )
    os.environ["WAREHOUSE"] = f"{folder}/warehouse.duckdb"
    settings = load_settings()
    extract.LISTS["products"] = replace(extract.LISTS["products"], limit=_PAGE)
    with Cin7(settings) as cin7:
        read = extract.read_list(
            cin7, Warehouse(database=f"{folder}/warehouse.duckdb"), settings.paths.landing, "products", full=True
        )
    assert read.loaded.inserted == _PRODUCTS


def _plain(address: str, folder: str) -> None:
    import duckdb
    import httpx

    from cin7_emarsys.cin7.load import columns_of

    with httpx.Client() as client, Path(f"{folder}/products.ndjson").open("w") as out:
        for number in range(1, _PRODUCTS // _PAGE + 1):
            for row in client.get(f"{address}/product?Page={number}&Limit={_PAGE}").json()["Products"]:
                out.write(json.dumps(row) + "\n")
    columns = {name: kind for name, kind in columns_of("products").items() if not name.startswith("_")}
    listed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    with duckdb.connect(f"{folder}/plain.duckdb") as connection:
        connection.execute(
            f"create table products as from read_json('{folder}/products.ndjson', format='newline_delimited', "
            f"columns={{{listed}}})"
        )
        assert connection.execute("select count(*) from products").fetchone() == (_PRODUCTS,)


def _child(which: str, address: str) -> tuple[float, float]:
    """Seconds and peak MB of one reading, in a process of its own (imports are not counted)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.read_path", which, address, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def measure() -> Figures:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    for number in range(1, _PRODUCTS // _PAGE + 1):
        _page(number)
    try:
        pairs = [(_child("ours", address), _child("plain", address)) for _ in range(_RUNS)]
    finally:
        server.shutdown()
        server.server_close()
    ours = sorted(ours for ours, _ in pairs)[_RUNS // 2]
    plain = sorted(plain for _, plain in pairs)[_RUNS // 2]
    return {"ratio": ours[0] / plain[0], "peak_mb": ours[1], "seconds": ours[0], "plain_seconds": plain[0]}


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["plain"]):
        import cin7_emarsys.cin7.extract
        import cin7_emarsys.warehouse.resource  # noqa: F401

        began = time.perf_counter()
        (_ours if sys.argv[1] == "ours" else _plain)(sys.argv[2], sys.argv[3])
        print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        speak(measure, GOALS)
