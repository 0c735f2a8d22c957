"""Runs every benchmark and writes ``benchmarks/RESULTS.md``. One that fails is reported, the others go on; exit code 1 then.

``python -m benchmarks NAME…`` runs only those, and prints without writing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
_NOT_BENCHMARKS = {"__init__", "__main__", "report", "judging", "line", "month", "trial"}
NAMES = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in _NOT_BENCHMARKS)


def _run(name: str) -> tuple[bool, str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return True, done.stdout.strip()
    last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    return False, "\n".join(
        part for part in (done.stdout.strip(), f"FAILED (exit code {done.returncode}): {last}") if part
    )


def _machine() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("dagster", "duckdb", "httpx"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()} with {os.cpu_count()} cores and {pages:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}, {packages}. Ratios drift with the machine."
    )


def main() -> int:
    wanted = sys.argv[1:] or NAMES
    parts = ["# Results", "", _machine()]
    failed = []
    for name in wanted:
        print(f"{name} ...", flush=True)
        began = time.perf_counter()
        good, said = _run(name)
        took = f"{time.perf_counter() - began:.0f} s"
        print(f"{said}\n({took})\n", flush=True)
        parts += ["", f"## {name} ({took})", "", "```", said, "```"]
        failed += [] if good else [name]
    if not sys.argv[1:]:
        (FOLDER / "RESULTS.md").write_text("\n".join(parts) + "\n")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
