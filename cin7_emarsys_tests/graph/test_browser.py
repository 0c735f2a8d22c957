"""The graph as a stranger sees it first in the Dagster UI: groups from vendor to vendor, each asset with owner and words.

The picture is left in the folder that `SCREENSHOTS` names. Skipped where there is no Chromium.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from cin7_emarsys_tests.conftest import PROJECT

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
GROUPS = (
    "cin7", "tidied", "stock_counted", "second_look", "stock_promised", "customers_and_orders", "for_emarsys", "emarsys",
    "reconciliation", "operations",
)  # fmt: skip
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine (apt-get install chromium)"),
]


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[str]:
    """Dagster's webserver over the definitions, on an instance of its own."""
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "-m", "cin7_emarsys.definitions", "-d", str(PROJECT)],
            cwd=tmp_path,
            env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            while not _answers(address):
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=60)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/server_info", timeout=5):
            return True
    except (URLError, OSError):
        return False


def test_the_graph_and_one_asset(ui: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(f"{ui}/asset-groups")
        for group in GROUPS:
            page.get_by_text(group, exact=True).first.wait_for(timeout=120_000)
        page.screenshot(path=folder / "graph.png")
        page.goto(f"{ui}/assets/mart/ats")
        page.get_by_text("Available to sell, with every deduction").first.wait_for(timeout=120_000)
        page.get_by_text("operations", exact=True).first.wait_for(timeout=120_000)
        page.screenshot(path=folder / "asset.png")
        browser.close()
    assert failed == []
