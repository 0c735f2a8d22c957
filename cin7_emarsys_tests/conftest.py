"""Fixtures for the whole suite: the sandbox as a process of its own, and a project in a temporary folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).parent.parent
# `make soak` runs under this profile; the laws of the suite take their share of its examples.
settings.register_profile("soak", max_examples=2000)


def law(examples: int) -> settings:
    """Settings of a law: so many examples, and as much more in `make soak` as its profile has more than the default."""
    return settings(
        max_examples=max(1, examples * settings().max_examples // 100),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def trouble(*values: Any) -> list[Any]:
    """Parameters that only `make trouble` tries: each is of a kind of which the others have a representative."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*row, marks=pytest.mark.trouble) for row in rows]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: one that begins last would keep one worker busy while the other has nothing to do."""
    longest = ("end_to_end", "warehouse", "cin7")
    items.sort(key=lambda item: (*longest, item.path.parent.name).index(item.path.parent.name))


NewSandbox = Callable[..., dict[str, str]]


def start_sandbox(
    *,
    scale: str = "small",
    limits: str = "fast",
    seed: int = 1,
    faults: list[str] | None = None,
    history: Path | None = None,
    window_seconds: float | None = None,
) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A sandbox on free ports: its process and the environment with which a client reaches it."""
    command = [sys.executable, "-m", "cin7_emarsys.cli", "sandbox", "--json", "--scale", scale, "--limits", limits]
    command += ["--seed", str(seed), "--cin7-port", "0", "--emarsys-port", "0"]
    command += [part for name in faults or [] for part in ("--faults", name)]
    command += ["--history", str(history)] if history else []
    command += ["--window-seconds", str(window_seconds)] if window_seconds else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the sandbox did not start (exit code {process.wait()})")
    return process, json.loads(line)


def stop_sandbox(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(timeout=20)
    assert process.stdout is not None
    process.stdout.close()


@contextmanager
def running_sandbox(*, history: Path | None = None) -> Iterator[dict[str, str]]:
    """A small sandbox, or one that replays a history; ends with the block, however that ends."""
    process, environment = start_sandbox(history=history)
    try:
        yield environment
    finally:
        stop_sandbox(process)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[dict[str, str]]:
    """One small sandbox for tests that only read the vendors."""
    with running_sandbox() as environment:
        yield environment


@pytest.fixture
def new_sandbox() -> Iterator[NewSandbox]:
    """Starts sandboxes of the test's own; they stop with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(**options: object) -> dict[str, str]:
        process, environment = start_sandbox(**options)  # type: ignore[arg-type]
        started.append(process)
        return environment

    yield start
    for process in started:
        stop_sandbox(process)


@pytest.fixture
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Path]:
    """Points the settings at a sandbox and at a state folder of this test; returns that folder."""

    def enter(environment: dict[str, str]) -> Path:
        for name in [name for name in os.environ if name.upper().startswith(("CIN7_", "EMARSYS_", "FEED_"))]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        state = tmp_path / "state"
        monkeypatch.setenv("WAREHOUSE", str(state / "warehouse.duckdb"))
        monkeypatch.setenv("LEDGER", f"sqlite:///{state / 'ledger.sqlite'}")
        monkeypatch.setenv("MERCHANT_TOML", str(PROJECT / "merchant.toml"))
        monkeypatch.chdir(tmp_path)
        return state

    return enter
