"""A browser for the tests of pages. They are skipped, with the remedy, where Playwright or a Chromium is missing.

They run where OSSA_BROWSER is set, for they take minutes. OSSA_CHROMIUM names a Chromium elsewhere; OSSA_SCREENSHOTS a
folder that keeps what each test saw last.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers_browser import DESKTOP, Page
from helpers_studio import Studio


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not os.environ.get("OSSA_BROWSER"):
        pytest.skip("set OSSA_BROWSER=1 to test the pages in a browser")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pip install playwright (ossa[dev]) drives the browser"
    )
    chromium = os.environ.get("OSSA_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium: apt-get install chromium, or name one by OSSA_CHROMIUM")
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def studio() -> Iterator[Studio]:
    with Studio() as studio:
        yield studio


@pytest.fixture
def visit(browser: Any, studio: Studio, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens the page at an address; what the page complains of in the console fails the test, CSP included."""
    context = browser.new_context(reduced_motion="reduce", locale="en-GB")
    faults: list[str] = []

    def visit(where: str = "", size: tuple[int, int] = DESKTOP) -> Page:
        page = context.new_page()
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(studio.url + where)
        return page

    yield visit
    folder = os.environ.get("OSSA_SCREENSHOTS")
    if folder and context.pages:
        Path(folder).mkdir(parents=True, exist_ok=True)
        context.pages[-1].screenshot(path=Path(folder) / f"{request.node.name}.png")
    context.close()
    # The browser's own line about an answer of 4xx or 5xx, or a lost connection, is no fault of the page.
    assert [fault for fault in faults if "Failed to load resource" not in fault] == []
