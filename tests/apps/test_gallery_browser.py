"""A gallery in a real browser, opened from the disk: the studio's viewer, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers_browser import PHONE, Page, opened, pick, until
from helpers_dataset import SCHEMA, write_competition
from ossa.dataset.dataset import open_dataset
from ossa.labels.submission import write_submission
from ossa.pipeline.gallery import gallery
from ossa.segmentation.segmentation import Segmentation

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright (ossa[dev]) drives the browser")

SIZE = 192
STAGE = "document.querySelector('[data-testid=stage]').stage"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of five pictures, one of them broken, with the truth and two submissions."""
    root = tmp_path_factory.mktemp("gallery")
    write_competition(root / "data", subjects=2, size=SIZE)
    labelled = [(case.id, case.segmentation(SCHEMA, (SIZE, SIZE))) for case in open_dataset(root / "data").labelled]
    for name, without in (("good.csv", set()), ("worse.csv", {"Lunate", "Radius"})):
        rows = [
            (key, Segmentation(SCHEMA, truth.shape, {bone: one for bone, one in truth if bone not in without}))
            for key, truth in labelled
        ]
        write_submission(root / name, rows)
    first = next((root / "data" / "train").rglob("*.png"))
    first.write_bytes(first.read_bytes()[:300])
    gallery([root / "data", root / "good.csv", root / "worse.csv"], root / "out", title="Two submissions", size=128)
    return root / "out"


@pytest.fixture
def visit(browser: Any, made: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page; a fault, or anything that is asked of another place than the folder, fails the test."""
    context = browser.new_context(reduced_motion="reduce", locale="en-GB")
    faults: list[str] = []

    def visit(where: str = "", size: tuple[int, int] = (1280, 800)) -> Page:
        page = context.new_page()
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda one: None if one.url.startswith(made.as_uri()) else faults.append(one.url))
        page.goto(f"{(made / 'index.html').as_uri()}{where}")
        page.locator(".card, .bone, h1").first.wait_for()
        return page

    yield visit
    context.close()
    assert faults == []


def test_the_list_is_sorted_and_filtered_without_a_server(visit: Callable[..., Page]) -> None:
    page = visit()
    page.locator(".card").nth(3).wait_for()
    assert page.title() == "Two submissions"
    playwright.expect(page.get_by_role("combobox", name="Sort by")).to_have_value("score")
    page.get_by_role("combobox", name="Source").select_option(label="worse.csv")
    page.get_by_role("combobox", name="Bone").select_option("worst")
    playwright.expect(page.locator(".card .value").first).to_have_text("Dice .000")
    page.get_by_role("combobox", name="Warning").select_option("+")
    page.get_by_text("Cannot be read", exact=True).wait_for()
    page.get_by_role("combobox", name="Side").select_option("L")
    assert page.get_by_role("button", name="Retrain").count() == 0
    page.reload()  # the address keeps what was asked
    playwright.expect(page.get_by_role("combobox", name="Side")).to_have_value("L")


def test_a_picture_is_the_studios_look(visit: Callable[..., Page]) -> None:
    page = visit()
    page.locator(".card", has=page.locator("img")).first.click()
    opened(page)
    assert page.evaluate(f"[{STAGE}.film.film.width, {STAGE}.film.film.height].join()") == "128,128"
    until(page, f"{STAGE}.second.bones.length === 29")  # the truth lies over the prediction
    page.keyboard.press("t")
    until(page, f"{STAGE}.second.bones.length === 0")
    page.keyboard.press("q")
    until(page, f"{STAGE}.film.getVisible() === false")
    page.keyboard.press("q")
    page.keyboard.press("i")
    until(page, f"{STAGE}.film.levels.invert")
    page.keyboard.press("d")
    page.locator(".legend", has_text="only in Truth").wait_for()
    page.keyboard.press("d")
    page.get_by_role("button", name="By row").click()
    page.get_by_label("Metacarpals").uncheck()
    until(page, f"{STAGE}.bones.bones.length === 24")
    pick(page, "Radius")
    page.keyboard.press("s")  # nothing is corrected here
    assert page.locator("h1 .dot").count() == 0
    page.get_by_role("combobox", name="Bones from").select_option(label="worse.csv")
    page.locator(".bone.off", has_text="Lunate").wait_for()
    assert page.locator(".bone", has_text="Radius").locator(".value").inner_text() == "absent"


def test_arrows_walk_and_escape_leads_back(visit: Callable[..., Page]) -> None:
    page = visit("#/?sort=name")
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    opened(page)
    last = page.title()
    page.keyboard.press("ArrowLeft")
    until(page, f"document.title !== {json.dumps(last)}")
    opened(page)
    page.keyboard.press("ArrowRight")
    until(page, f"document.title === {json.dumps(last)}")
    opened(page)
    page.keyboard.press("Escape")
    page.locator(".card.active").wait_for()


def test_a_broken_picture_says_why_and_a_lost_file_too(visit: Callable[..., Page], made: Path) -> None:
    page = visit("#/?sort=name")
    page.locator(".card", has_text="Cannot be read").click()
    page.get_by_role("heading", name="Cannot be read").wait_for()
    page.keyboard.press("Escape")
    page.goto(f"{(made / 'index.html').as_uri()}#/picture/999999")
    page.get_by_role("heading", name="There is no such picture").wait_for()


def test_on_a_phone_and_in_korean(visit: Callable[..., Page]) -> None:
    page = visit(size=PHONE)
    page.locator(".card img").first.click()
    opened(page)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.locator(".bar").get_by_role("button", name="All pictures").click()
    page.get_by_role("button", name="한국어").click()
    page.locator(".card img").first.click()
    opened(page)
    page.get_by_text("노뼈").first.wait_for()
