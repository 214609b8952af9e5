"""The built page against the real server, in a real browser: open, accept, look at the history, drop a file.

What the page does in all its corners is tested against a stand-in (test_studio_browser). Skipped where Playwright or a
Chromium is missing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from helpers_browser import save
from helpers_desk import SCHEMA, SIZE, data_set, predictions
from helpers_serve import local_worker
from ossa.apps.serve.app import create_app
from ossa.apps.serve.run import listen
from ossa.apps.serve.settings import Settings
from ossa.apps.studio.app import studio_part
from ossa.inference.hands import Hand
from ossa.pipeline.studio import open_studio
from ossa.segmentation.segmentation import Region, Segmentation


class Fixed:
    """A predictor that finds one square in every picture."""

    def predict_hands(self, picture: str) -> tuple[Hand, ...]:
        import numpy as np

        bone = Region(30, 40, np.ones((40, 30), bool))
        return (Hand(Segmentation(SCHEMA, (SIZE, SIZE), {"Radius": bone}, {"Radius": 0.5})),)


@contextmanager
def served(root: Path, found: Path, output: Path) -> Iterator[str]:
    listening = listen(Settings(port=0))
    settings = Settings(port=listening.getsockname()[1])
    with open_studio(root, predictions=[found], output=output) as desk:
        app = create_app(settings, [studio_part(desk)], local_worker(Fixed))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.02)
            yield settings.address
        finally:
            server.should_exit = True
            thread.join(30)
            listening.close()


def test_open_accept_and_drop(tmp_path: Path, browser: Any) -> None:
    root = data_set(tmp_path, 2, 0)
    found, output = predictions(tmp_path, root), tmp_path / "studio"
    faults: list[str] = []
    with served(root, found, output) as address, closing(browser.new_context(locale="en-GB")) as context:
        page: Any = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(address)
        page.locator(".card").nth(3).wait_for()
        page.locator(".card").first.click()
        page.locator(".bone").first.wait_for()
        page.wait_for_timeout(500)
        save(page)
        page.get_by_text("Saved.").wait_for()
        page.get_by_text("Corrected by Kim").wait_for()
        with page.expect_file_chooser() as choosing:
            page.get_by_role("button", name="Open a file").click()
        choosing.value.set_files(next(root.rglob("*.png")))
        page.get_by_text("bones found").wait_for()
    journals = list((output / "history").rglob("journal.json"))
    assert [json.loads(path.read_text())[0]["author"] for path in journals] == ["Kim"]
    assert len(list((output / "dropped").iterdir())) == 1
    # The browser's own line about an answer of 404 (a source that says nothing of the dropped picture) is no fault.
    assert [fault for fault in faults if "Failed to load resource" not in fault] == []
