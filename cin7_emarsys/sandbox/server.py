"""The sandbox process: both vendors on two loopback ports of one event loop, until SIGINT or SIGTERM."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cin7_emarsys.sandbox import cin7
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.control import control_routes
from cin7_emarsys.sandbox.faults import ABORT, Faults, default_specs
from cin7_emarsys.sandbox.merchant.actions import Actions
from cin7_emarsys.sandbox.merchant.world import Merchant

HOST = "127.0.0.1"
_LIMITS = {"fast": (None, None), "real": (60, 1000)}
_PACE = {"fast": (30_000, 30_000), "real": (50, 800)}


class Protocol(HttpToolsProtocol):
    """Lets an application close its connection without an answer, as a failing network does, and without a log line."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][ABORT] = self.abort

    def abort(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            linger = struct.pack("ii", 1, 0)  # close with RST
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class _Server(uvicorn.Server):
    """Leaves the signals to `serve`, which has two of these."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    *,
    scale: str = "small",
    history: Path | None = None,
    seed: int = 1,
    cin7_port: int = 0,
    emarsys_port: int = 0,
    limits: str = "fast",
    window_seconds: float | None = None,
    faults: Sequence[str] = (),
    json_output: bool = False,
    env_file: Path | None = None,
    edition: str = "emarsys",
) -> None:
    """Serves until a signal; port 0 takes a free one. Prints the environment for a client when both ports listen.

    `limits`: "fast" has no limit and throttle faults that ask for 1 second; "real" has the vendors' limits (60 and
    1,000 calls in a sliding window of 60 s). `window_seconds` makes the window of both shorter. `edition`: which of
    the two products the Emarsys account has (emarsys, engagement_cloud).
    """
    from cin7_emarsys.sandbox import emarsys

    if limits not in _LIMITS:
        raise ValueError(f"unknown limits {limits!r}; known: {', '.join(_LIMITS)}")
    window = window_seconds if window_seconds is not None else (1.0 if limits == "fast" else 60.0)
    clock, engine = Clock(), Faults(default_specs(faults))
    merchant = Merchant(clock, seed=seed, scale=scale, history=history)
    routes = control_routes(clock, engine, Actions(merchant).act)
    cin7_calls, emarsys_calls = _LIMITS[limits]
    apps = (
        cin7.create_app(
            merchant, clock=clock, faults=engine, calls_per_window=cin7_calls, window_seconds=window,
            control_routes=routes,
        ),
        emarsys.create_app(
            clock=clock, faults=engine, seed=seed, calls_per_window=emarsys_calls, window_seconds=window,
            control_routes=routes, edition=edition,
        ),
    )  # fmt: skip
    gc.collect()
    gc.freeze()
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_listen(port)) for port in (cin7_port, emarsys_port)]
        ports = [sock.getsockname()[1] for sock in sockets]
        environment = _environment(ports, limits, window, emarsys.CREDENTIALS)
        uvloop.run(_run(apps, sockets, environment, json_output, env_file))


def _listen(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError as problem:
        sock.close()
        raise OSError(problem.errno, f"port {port} of {HOST} cannot be used: {problem.strerror}") from None
    return sock


def _environment(ports: list[int], limits: str, window: float, emarsys: dict[str, str]) -> dict[str, str]:
    cin7_url, emarsys_url = (f"http://{HOST}:{port}" for port in ports)
    pace, seconds = _PACE[limits], f"{window:g}"
    return {
        "CIN7_BASE_URL": f"{cin7_url}/ExternalApi/v2",
        **cin7.CREDENTIALS,
        "CIN7_CALLS_PER_MINUTE": str(pace[0]),
        "CIN7_WINDOW_SECONDS": seconds,
        "EMARSYS_BASE_URL": f"{emarsys_url}/api",
        "EMARSYS_TOKEN_URL": f"{emarsys_url}/oauth2/token",
        "EMARSYS_HAPI_URL": f"{emarsys_url}/hapi",
        "EMARSYS_CLOUD_URL": f"{emarsys_url}/ec",
        "EMARSYS_CALLS_PER_MINUTE": str(pace[1]),
        "EMARSYS_WINDOW_SECONDS": seconds,
        **emarsys,
    }


async def _run(
    apps: Sequence[Starlette],
    sockets: Sequence[socket.socket],
    environment: dict[str, str],
    json_output: bool,
    env_file: Path | None,
) -> None:
    servers = [
        _Server(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_level=logging.ERROR,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        for app in apps
    ]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # calls that are cut off now are no news
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    tasks = [asyncio.create_task(server.serve([sock])) for server, sock in zip(servers, sockets, strict=True)]
    try:
        while not all(server.started for server in servers) and not any(task.done() for task in tasks):
            await asyncio.sleep(0.005)
        if env_file is not None:
            _write_env(env_file, environment)
        _announce(environment, json_output)
        await asyncio.gather(*tasks)
    finally:
        stop()
        if env_file is not None:
            env_file.unlink(missing_ok=True)


def _write_env(path: Path, environment: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{key}={value}\n" for key, value in environment.items())


def _announce(environment: dict[str, str], json_output: bool) -> None:
    if json_output:
        lines = [json.dumps(environment)]
    else:
        lines = [
            "The sandbox is open (Ctrl-C closes it).",
            f"  Cin7 Core  {environment['CIN7_BASE_URL']}",
            f"  Emarsys    {environment['EMARSYS_BASE_URL']}",
            f"  judge      {environment['CIN7_BASE_URL'].removesuffix('/ExternalApi/v2')}/_sandbox/ledger",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
