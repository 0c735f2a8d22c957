"""The shared window, judged by what the receiving side sees and by what other processes may still do."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cin7_emarsys.rate import RateWindow

LANES = ("stock", "products", "sale_details")
KEY = "5eed5eed-not-a-real-key"

_CALLER = """
import socket, sys
from pathlib import Path
from cin7_emarsys.rate import RateWindow
folder, port, calls = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
window = RateWindow(folder, sys.argv[4], 20, 1.0, ("stock", "products", "sale_details"))
for _ in range(calls):
    with window.permit(sys.argv[5]), socket.create_connection(("127.0.0.1", port)) as line:
        line.recv(1)
"""
_HANGING = """
import sys
from pathlib import Path
from cin7_emarsys.rate import RateWindow
window = RateWindow(Path(sys.argv[1]), sys.argv[2], 3, 60.0, ("stock", "products", "sale_details"))
with window.lease("stock"), window.permit("stock"):
    print("in", flush=True)
    sys.stdin.read()
"""


class Waited(Exception):
    """Raised instead of sleeping: the window had no slot."""


def _no_sleep(_seconds: float) -> None:
    raise Waited


@contextmanager
def _receiver(arrivals: list[float]) -> Iterator[int]:
    """A vendor that notes when each call reaches it, and answers with one byte."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                arrivals.append(time.monotonic())
                with line:
                    line.sendall(b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _most_in_any(arrivals: list[float], seconds: float) -> int:
    ordered = sorted(arrivals)
    return max(sum(start <= moment < start + seconds for moment in ordered) for start in ordered)


def test_processes_share_one_window(tmp_path: Path) -> None:
    arrivals: list[float] = []
    with _receiver(arrivals) as port:
        callers = [
            subprocess.Popen([sys.executable, "-c", _CALLER, str(tmp_path), str(port), "12", KEY, lane])
            for lane in ("products", "products", "sale_details", "sale_details", "stock")
        ]
        assert [caller.wait(60) for caller in callers] == [0] * 5
    assert len(arrivals) == 60
    assert _most_in_any(arrivals, 1.0) <= 20


def test_a_slow_call_counts_until_it_has_its_answer(tmp_path: Path) -> None:
    slow = RateWindow(tmp_path, KEY, 1, 0.2, LANES)
    other = RateWindow(tmp_path, KEY, 1, 0.2, LANES, sleep=_no_sleep)
    with slow.permit("stock"):
        time.sleep(0.3)  # longer than the window: the call may reach the vendor at any moment of it
        with pytest.raises(Waited), other.permit("stock"):
            pass


def test_a_permit_counts_from_the_answer_on(tmp_path: Path) -> None:
    window = RateWindow(tmp_path, KEY, 1, 30, LANES, sleep=_no_sleep)
    with window.permit("stock"):
        pass
    assert window.used() == 1
    with pytest.raises(Waited), window.permit("stock"):
        pass


def test_a_failing_call_counts_too(tmp_path: Path) -> None:
    window = RateWindow(tmp_path, KEY, 1, 30, LANES, sleep=_no_sleep)
    with pytest.raises(ConnectionError), window.permit("stock"):
        raise ConnectionError
    with pytest.raises(Waited), window.permit("stock"):
        pass


def test_stock_overtakes_a_backlog_at_the_next_call(tmp_path: Path) -> None:
    order: list[str] = []
    stop = threading.Event()

    def backlog() -> None:
        window = RateWindow(tmp_path, KEY, 5, 1.0, LANES)
        with window.lease("sale_details"):
            while not stop.is_set():
                with window.permit("sale_details"):
                    order.append("sale_details")

    reader = threading.Thread(target=backlog)
    reader.start()
    try:
        while len(order) < 7:  # the backlog has used up the window more than once
            time.sleep(0.01)
        window = RateWindow(tmp_path, KEY, 5, 1.0, LANES)
        with window.lease("stock"):
            since = len(order)
            for _ in range(8):
                with window.permit("stock"):
                    order.append("stock")
            meanwhile = order[since:]
        later = len(order)
        while len(order) < later + 3:  # and afterwards the backlog goes on
            time.sleep(0.01)
    finally:
        stop.set()
        reader.join()
    assert meanwhile.count("stock") == 8
    assert meanwhile.count("sale_details") <= 1  # the call that was under way


def test_a_higher_lane_does_not_wait_for_a_lower_lease(tmp_path: Path) -> None:
    window = RateWindow(tmp_path, KEY, 5, 30, LANES, sleep=_no_sleep)
    with window.lease("sale_details"), window.permit("stock"):
        pass
    with window.lease("stock"), window.permit("stock"):
        pass
    with window.lease("stock"), pytest.raises(Waited), window.permit("products"):
        pass
    with window.permit("products"):  # the lease has ended with its block
        pass


def test_a_lease_without_a_call_lapses(tmp_path: Path) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        time.sleep(seconds)

    idle = RateWindow(tmp_path, KEY, 5, 0.3, LANES)
    lower = RateWindow(tmp_path, KEY, 5, 0.3, LANES, sleep=nap)
    with idle.lease("stock"), lower.permit("sale_details"):
        assert naps  # it waited first, and is through while the lease still stands


def test_a_cool_down_holds_for_all(tmp_path: Path) -> None:
    told, other = (RateWindow(tmp_path, KEY, 5, 30, LANES, sleep=_no_sleep) for _ in range(2))
    told.cool_down(30)
    told.cool_down(0.01)  # a shorter one does not cut it
    for window in (told, other):
        with pytest.raises(Waited), window.permit("stock"):
            pass
    with RateWindow(tmp_path, "another key", 5, 30, LANES, sleep=_no_sleep).permit("stock"):
        pass


def test_a_cool_down_ends(tmp_path: Path) -> None:
    window = RateWindow(tmp_path, KEY, 5, 30, LANES)
    until = time.monotonic() + 0.2
    window.cool_down(0.2)
    with window.permit("sale_details"):
        assert time.monotonic() >= until


def test_no_header_stops_everybody_for_longer_than_a_few_windows(tmp_path: Path) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        assert len(naps) < 10
        time.sleep(seconds)

    window = RateWindow(tmp_path, KEY, 5, 0.1, LANES, sleep=nap)
    window.cool_down(86_400)
    with window.permit("stock"):
        assert naps


def test_a_killed_process_wastes_one_permit_at_most(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HANGING, str(tmp_path), KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "in\n"
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()
    window = RateWindow(tmp_path, KEY, 3, 60.0, LANES, sleep=_no_sleep)
    assert window.used() <= 1
    for _ in range(2):
        with window.permit("stock"):
            pass


def test_the_file_does_not_tell_the_key(tmp_path: Path) -> None:
    folder = tmp_path / "rate"
    window = RateWindow(folder, KEY, 5, 30, LANES)
    with window.permit("stock"):
        files = list(folder.iterdir())
    assert files
    for file in files:
        assert KEY not in file.name
        assert KEY.encode() not in file.read_bytes()


def test_no_other_process_takes_a_file_in_use_for_its_own(tmp_path: Path) -> None:
    """A second thread must not lose the locks of the first: the next process would clear the log under both of them."""
    window = RateWindow(tmp_path, KEY, 5, 30, LANES)
    with window.permit("stock"):
        pass
    second = threading.Thread(target=window.used)
    second.start()
    second.join()
    (log,) = tmp_path.glob("*-wal")
    other = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('select * from slots').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", other, str(log).removesuffix("-wal")], check=True)
    assert log.exists()
