"""A guard overridden in a run of Dagster: the check that would stop the run lets it pass, once, and it is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place


@pytest.mark.soak
def test_a_catalogue_that_shrank_is_published_once(loaded: Place, tmp_path: Path) -> None:
    shutil.copytree(loaded.folder, tmp_path / "copy")
    place = Place(tmp_path / "copy", loaded.environment)
    with duckdb.connect(str(place.folder / "var" / "warehouse.duckdb")) as connection:
        connection.execute(
            "insert into delivery.catalogue_items (item, version) select 'gone' || i, 1 from range(1000) as numbers(i)"
        )
    refused = place.sync("products", code=None)
    assert not refused["ok"] or "emarsys/catalogue" not in refused["assets"]
    told = json.loads(
        place.run("sync", "products", "--override", "catalogue_not_shrunk", "--reason", "ask ana@example.com", "--json")
    )
    assert told["ok"] and "refused" not in told["assets"]["emarsys/catalogue"]
    assert place.rows("select count(*) from delivery.publications") == [(2,)]
    assert place.rows("select command, reason from operations.audit") == [
        ("sync --override catalogue_not_shrunk", "ask (address)")
    ]
