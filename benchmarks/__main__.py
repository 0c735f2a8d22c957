"""Runs every benchmark and writes ``benchmarks/RESULTS.md``. One that fails is reported, the others go on; exit code 1 then.

``python -m benchmarks NAME…`` runs only those; in the file the parts of the others stay as they are.
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
RESULTS = FOLDER / "RESULTS.md"
# What can be run is a benchmark; the other modules are what benchmarks share.
NAMES = sorted(
    file.stem
    for file in FOLDER.glob("*.py")
    if not file.stem.startswith("__") and 'if __name__ == "__main__":' in file.read_text()
)


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
        f"{platform.system()}, Python {platform.python_version()}, {packages}"
    )


def _write(name: str, said: str, took: str) -> None:
    """Puts one benchmark's part into the file, in the order of names."""
    parts = dict.fromkeys(NAMES, "")
    if RESULTS.exists():
        for part in RESULTS.read_text().split("\n## ")[1:]:
            headline, _, text = part.partition("\n")
            if headline in parts:
                parts[headline] = text.strip()
    parts[name] = f"{_machine()}; took {took}.\n\n```\n{said}\n```"
    written = [f"## {name}\n\n{text}" for name, text in parts.items() if text]
    RESULTS.write_text("\n\n".join(["# Results", "Ratios drift with the machine.", *written]) + "\n")


def main() -> int:
    wanted = sys.argv[1:] or NAMES
    if unknown := set(wanted) - set(NAMES):
        print(f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = []
    for name in wanted:
        print(f"{name} ...", flush=True)
        began = time.perf_counter()
        good, said = _run(name)
        took = f"{time.perf_counter() - began:.0f} s"
        print(f"{said}\n({took})\n", flush=True)
        _write(name, said, took)
        failed += [] if good else [name]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
