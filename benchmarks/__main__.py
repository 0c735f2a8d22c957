"""Runs every benchmark and writes ``benchmarks/RESULTS.md``."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = ("calls", "read_path", "import_time")


def main() -> None:
    parts = [
        "# Results",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {platform.system()}, Python {platform.python_version()}, "
        f"dagster {version('dagster')}, duckdb {version('duckdb')}, httpx {version('httpx')}. Ratios drift with the "
        "machine.",
    ]
    for name in NAMES:
        print(f"{name} ...", flush=True)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"], capture_output=True, text=True, check=False
        )
        said = done.stdout.strip() or done.stderr.strip().splitlines()[-1]
        print(said)
        parts += ["", f"## {name}", "", "```", said, "```"]
    (FOLDER / "RESULTS.md").write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
