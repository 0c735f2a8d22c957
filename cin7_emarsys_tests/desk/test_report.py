"""The pages as files."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from cin7_emarsys.desk import report
from cin7_emarsys.desk.source import NothingPublished, Published
from cin7_emarsys.merchant import Merchant
from cin7_emarsys_tests.warehouse.world import T0


@pytest.fixture(scope="module")
def folder(copy: Path, policy: Merchant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(Published(copy), policy, tmp_path_factory.mktemp("report") / "report").folder


def test_every_link_leads_to_a_file_beside_it(folder: Path) -> None:
    for file in folder.glob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"#]+)"', file.read_text()):
            assert link == "data:," or (folder / link).exists(), (file.name, link)


def test_nobody_is_named(folder: Path) -> None:
    for file in folder.iterdir():
        text = file.read_text()
        assert "@example.com" not in text and "Ana Lee" not in text and "No Mail" not in text, file.name


def test_rows_are_cut_where_they_would_be_too_many(
    copy: Path, policy: Merchant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "HTML_ROWS", 2)
    monkeypatch.setattr(report, "CSV_ROWS", 3)
    written = report.write(Published(copy), policy, tmp_path / "report")
    page = (written.folder / "availability.html").read_text()
    assert page.count('<th scope="row"') == 2 and "the first 3" in page
    with (written.folder / "availability.csv").open(newline="") as rows:
        assert len(list(csv.reader(rows))) == 1 + 3
    assert written.bytes == sum(file.stat().st_size for file in written.folder.iterdir())


def test_a_new_report_replaces_the_old_one_and_a_failed_one_does_not(
    copy: Path, policy: Merchant, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    report.write(Published(copy), policy, folder)
    (folder / "left-over.html").write_text(T0)
    report.write(Published(copy), policy, folder)
    assert not (folder / "left-over.html").exists()
    with pytest.raises(report.NotAReport):
        report.write(Published(copy), policy, tmp_path)
    with pytest.raises(NothingPublished):
        report.write(Published(tmp_path / "none"), policy, folder)
    assert (folder / "index.html").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["report"]
