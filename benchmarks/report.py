"""How a benchmark speaks: a few lines for a person, or with ``--json`` one object as its last line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

Figures = Mapping[str, object]


def speak(measure: Callable[[], Figures], goals: Mapping[str, str]) -> None:
    """Runs one benchmark and prints its figures beside their goals."""
    figures = measure()
    if "--json" in sys.argv:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        print(f"{name:14} {shown}" + (f"   (goal: {goals[name]})" if name in goals else ""))
