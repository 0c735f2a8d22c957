"""The report: the desk's pages and their rows as files, for whoever has no terminal and no server.

What belongs here: which pages are written, and how large they may get. What does not: what they show (``pages.py``).

It holds no address and no name of a customer: nothing can be looked up in it, and lists show customer ids.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cin7_emarsys.desk import month, pages, render
from cin7_emarsys.desk.source import Published
from cin7_emarsys.merchant import Merchant

HTML_ROWS = 200
CSV_ROWS = 2_000


@dataclass(frozen=True)
class Written:
    """Where the report stands, its files, and their bytes."""

    folder: Path
    files: int
    bytes: int


class NotAReport(Exception):
    """The folder holds something else, which would be lost."""


def write(published: Published, merchant: Merchant, folder: Path) -> Written:
    """Writes `index.html` and the pages beside it, replacing an earlier report as a whole. Raises `NothingPublished`,
    `NotAReport`."""
    if folder.exists() and not (folder / render.STYLE.name).exists() and any(folder.iterdir()):
        raise NotAReport(f"{folder} holds something that is no report of ours; name a folder that is empty or new")
    links = render.Written()
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        with published.read() as facts:
            now = datetime.now(UTC).replace(tzinfo=None)
            common = {"published_at": facts.published_at}
            found = {
                "index": render.page("index", links, here="index", **common, **pages.overview(facts, merchant, now)),
                "flows": render.page("flows", links, here="flows", **common, **pages.flows(facts)),
            }
            newest = month.last_with_documents(facts)
            shown = {"asked": newest, "month": month.close(facts, newest), "wrong": ""}
            found["month-close"] = render.page("month-close", links, here="month-close", **common, **shown)
            for name, text in found.items():
                (beside / f"{name}.html").write_text(text)
            for listing in pages.LISTINGS.values():
                for chosen in listing.filters:
                    whole = pages.show(facts, listing, filter=chosen, limit=CSV_ROWS)
                    first = pages.first(whole, HTML_ROWS)
                    name = render.file_name(listing.name, chosen)
                    text = render.page(
                        listing.template, links, here=listing.name, shown=first, csv_rows=CSV_ROWS, **common
                    )
                    (beside / f"{name}.html").write_text(text)
                    (beside / f"{name}.csv").write_text(render.rows_as_csv(listing, whole.rows), newline="")
        shutil.copyfile(render.STYLE, beside / render.STYLE.name)
        written = [file.stat().st_size for file in beside.iterdir()]
        _put_in_place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Written(folder, len(written), sum(written))


def _put_in_place(new: Path, folder: Path) -> None:
    """A folder cannot be replaced in one step; the old one is there until the new one is whole."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
