"""Reading that fails between two of its steps: either all of it is in the warehouse, with its watermark, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cin7_emarsys import crash
from cin7_emarsys_tests.cin7.conftest import Reader

READING = ("page_landed", "landed", "loaded", "watermark")


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    crash.arm(None)


@pytest.mark.parametrize(("point", "mode"), [(point, "exception") for point in READING] + [("landed", "disk-full")])
def test_a_list(reader: Reader, point: str, mode: str) -> None:
    reader.account()
    crash.arm(f"{point}:{mode}")
    with pytest.raises(crash.Crashed if mode == "exception" else OSError):
        reader.read_list("locations")
    crash.arm(None)
    assert reader.query("select count(*) from raw.locations") == [(0,)]
    assert reader.watermark("locations") is None
    read = reader.read_list("locations")
    assert read.loaded.inserted == reader.query("select count(*) from raw.locations")[0][0] > 0
    assert reader.watermark("locations") == read.watermark


@pytest.mark.parametrize("point", READING[1:])
def test_headers_and_their_queue(reader: Reader, point: str) -> None:
    crash.arm(f"{point}:exception")
    with pytest.raises(crash.Crashed):
        reader.headers()
    crash.arm(None)
    assert reader.query("select count(*) from raw.sale_headers") == [(0,)]
    assert (reader.watermark("sale_headers"), reader.watermark("baseline")) == (None, None)
    assert reader.headers().queued == reader.query("select count(*) from raw.sale_queue")[0][0] > 0
