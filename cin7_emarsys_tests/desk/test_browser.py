"""Every page as people see it, in a real browser: wide and narrow, light and dark.

It needs a Chromium on this machine (Debian: `apt-get install chromium`), and is skipped where there is none. The pictures
are left in the folder that `SCREENSHOTS` names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cin7_emarsys.desk import pages

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine (apt-get install chromium)")

PANELS = {
    "index": "/",
    **{name: f"/{name}" for name in pages.LISTINGS},
    "mis-mailed": "/availability?filter=mis_mailed",
    "nothing-found": "/availability?search=%3Cscript%3E",
    "flows": "/flows",
    "month-close": "/month-close?month=2026-11",
    "item": "/look-up?q=TENT",
    "order": "/look-up?q=SO-s1",
    "person": "/look-up?q=ana%40example.com",
    "nobody": "/look-up?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
}
# What a person would call broken: parts that lie over each other, and text that can hardly be told from its ground.
_BROKEN = """
() => {
    const found = [], boxes = [];
    const colour = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
    const light = (c) => {
        const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const c = colour(getComputedStyle(e).backgroundColor);
            if (c[3] > 0.99) return c;
        }
        return [255, 255, 255, 1];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
        const owner = node.parentElement, text = node.textContent.trim();
        if (!text || owner.closest('svg, .unseen, .skip, thead, details:not([open]) > :not(summary)')) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const box of range.getClientRects()) if (box.width > 1 && box.height > 1) boxes.push([text, box]);
        const [a, b] = [light(colour(getComputedStyle(owner).color).slice(0, 3)), light(ground(owner).slice(0, 3))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(1)}: ${text.slice(0, 40)}`);
    }
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
        const [one, a] = boxes[i], [two, b] = boxes[j];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 2 && tall > 6) found.push(`overlap: ${one.slice(0, 30)} | ${two.slice(0, 30)}`);
    }
    const over = document.documentElement.scrollWidth - innerWidth;
    if (over > 0) found.push(`${over} px wider than the window`);
    return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize(
    "looks",
    [
        [(1280, "light"), (390, "dark")],
        pytest.param([(1280, "dark"), (390, "light")], marks=pytest.mark.soak),
    ],
)
def test_every_panel_is_whole(browser: Any, desk: str, tmp_path: Path, looks: list[tuple[int, str]]) -> None:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((desk, "data:")) else said.append(asked.url))
    broken: list[str] = []
    taken: list[bytes] = []
    for name, path in PANELS.items():
        assert page.goto(desk + path).status == 200, name
        for width, scheme in looks:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            broken += [f"{name}, {width}, {scheme}: {what}" for what in page.evaluate(_BROKEN)]
            taken.append(page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True))
    page.close()
    assert broken == [] and said == []
    assert len(set(taken)) == len(PANELS) * len(looks)


def test_the_desk_is_walked_by_keyboard_alone(browser: Any, desk: str) -> None:
    page = browser.new_page()
    page.goto(desk)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/availability")
    page.focus("#search")
    page.keyboard.type("tent")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=tent**")
    assert page.locator("tbody tr").count() == 1
    page.close()
