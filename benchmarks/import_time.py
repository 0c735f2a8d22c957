"""Seconds to import the definitions in a fresh process: what every run and every tick of the UI pays."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.report import Figures, speak

GOALS = {"seconds": "< 1.5"}


def measure() -> Figures:
    def once(program: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
        return time.perf_counter() - began

    def median(program: str) -> float:
        return sorted(once(program) for _ in range(5))[2]

    return {
        "seconds": median("import cin7_emarsys.definitions"),
        "dagster_alone": median("import dagster"),
    }


if __name__ == "__main__":
    speak(measure, GOALS)
