"""The studio's page in a real browser: to browse and to look, for everybody; against the stand-in for its server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers_browser import DESKTOP, PHONE, Page, drag, middle, on_screen, opened, pick, ring_of, until
from helpers_studio import Studio

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright (ossa[dev]) drives the browser")

ROOT = Path(__file__).parents[2]


# ---- browse --------------------------------------------------------------------------------------------------------


def test_the_grid_shows_filters_and_searches(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card").nth(11).wait_for()
    assert page.locator(".count").inner_text() == "12 pictures"
    page.get_by_role("combobox", name="Side").select_option("L")
    playwright.expect(page.locator(".count")).to_have_text("6 pictures")
    page.get_by_role("combobox", name="Sort by").select_option("score")
    until(page, "location.hash.includes('sort=score') && location.hash.includes('side=L')")
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").fill("nowhere")
    page.get_by_role("heading", name="No pictures").wait_for()
    page.get_by_role("button", name="Reset").first.click()
    playwright.expect(page.locator(".count")).to_have_text("12 pictures")
    assert any("sort=score" in request for request in studio.requests)


def test_ten_thousand_pictures_are_a_few_nodes(browser: Any) -> None:
    with Studio(pictures=10_000, size=128, distinct=2) as studio:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(studio.url)
        page.locator(".card img").first.wait_for()
        playwright.expect(page.locator(".count")).to_have_text("10,000 pictures")
        page.get_by_role("listbox").focus()
        page.keyboard.press("End")
        page.locator("#card-9999.active img").wait_for()
        assert page.locator(".card").count() < 80
        assert len([r for r in studio.requests if "/api/pictures?" in r]) <= 4
        page.keyboard.press("Enter")
        opened(page)
        page.keyboard.press("Escape")
        page.locator("#card-9999.active img").wait_for()  # back where one was
        page.close()


# ---- look ----------------------------------------------------------------------------------------------------------


def test_opens_toggles_and_names(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card").first.click()
    opened(page)
    assert page.title().startswith("image1661130828152.png")
    drawn = "document.querySelector('[data-testid=stage]').stage.bones.bones.length"
    assert page.evaluate(drawn) == 29
    page.get_by_label("Carpals").uncheck()
    until(page, f"{drawn} === 21")
    page.get_by_label("Show Radius").uncheck()
    until(page, f"{drawn} === 20")
    page.keyboard.press("b")
    until(page, f"{drawn} === 0")
    page.keyboard.press("b")
    until(page, f"{drawn} === 20")
    page.mouse.move(*on_screen(page, middle(studio, "finger-3")))
    tip = page.locator(".tip")
    tip.wait_for()
    assert "First metacarpal" in tip.inner_text()
    assert "finger-3" in tip.inner_text()
    page.mouse.down()
    page.mouse.up()
    page.locator(".bone.selected", has_text="First metacarpal").wait_for()
    # Warnings are grouped: two bones of an unusual shape are one entry.
    assert page.locator(".warnings li").count() == 3


def test_window_level_invert_and_zoom(visit: Callable[..., Page]) -> None:
    page = opened(visit("#/picture/p0"))
    levels = "JSON.stringify(document.querySelector('[data-testid=stage]').stage.film.levels)"
    page.keyboard.press("i")
    until(page, f"JSON.parse({levels}).invert")
    centre = on_screen(page, (256, 256))
    drag(page, centre, (centre[0] + 100, centre[1] - 50), button="right")
    changed = json.loads(page.evaluate(levels))
    assert changed["window"] < 255
    assert changed["level"] < 127
    page.get_by_label("Window", exact=True).fill("100")
    page.keyboard.press("Enter")
    until(page, f"JSON.parse({levels}).window === 100")
    zoom = "document.querySelector('[data-testid=stage]').stage.map.getView().getResolution()"
    before = page.evaluate(zoom)
    page.locator("h1").focus()
    page.keyboard.press("+")
    assert page.evaluate(zoom) < before
    page.mouse.move(*centre)
    page.mouse.wheel(0, 400)
    until(page, f"{zoom} > {before * 0.81}")
    page.keyboard.press("1")
    assert page.evaluate(zoom) == 1


def test_compares_side_by_side_difference_and_both_hands(visit: Callable[..., Page]) -> None:
    page = opened(visit("#/picture/p0"))
    page.keyboard.press("c")
    page.get_by_test_id("stage-beside").locator("canvas").first.wait_for()
    assert page.locator(".caption").all_inner_texts() == ["ossa-phantom-4", "Truth"]
    views = "[...document.querySelectorAll('.stage')].map(node => node.stage.map.getView())"
    assert page.evaluate(f"new Set({views}).size === 1")
    page.get_by_role("checkbox", name="submission.csv").check()
    page.locator(".caption").nth(2).wait_for()
    page.keyboard.press("d")
    page.locator(".legend", has_text="only in Truth").wait_for()
    until(page, "document.querySelector('[data-testid=stage]').stage.over.bitmap !== null")
    page.keyboard.press("h")
    page.locator(".caption", has_text="image1661130828153.png").wait_for()
    page.keyboard.press("h")
    until(page, "document.querySelectorAll('.stage').length === 1")


def test_measurements_and_gradcam(visit: Callable[..., Page]) -> None:
    page = opened(visit("#/picture/p0"))
    page.keyboard.press("m")
    until(page, "document.querySelector('[data-testid=stage]').stage.measures.drawings.length === 1")
    page.locator("summary", has_text="Overlays").click()
    page.get_by_text("PixelSpacing of the DICOM file").wait_for()
    page.get_by_text("The ulna ends outside of the picture.").wait_for()
    pick(page, "First metacarpal")
    until(page, "document.querySelector('[data-testid=stage]').stage.measures.drawings[0].bone === 'finger-3'")
    page.get_by_role("row", name="Length of metacarpal 1").wait_for()
    page.keyboard.press("g")
    until(page, "document.querySelector('[data-testid=stage]').stage.over.bitmap !== null")


# ---- for everybody -------------------------------------------------------------------------------------------------


def test_keyboard_alone(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card img").first.wait_for()
    page.get_by_role("listbox").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    opened(page)
    assert "image1661130828153.png" in page.title()
    page.keyboard.press("?")
    page.locator("dialog", has_text="Next doubtful picture").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    page.keyboard.press("]")  # the second bone
    page.keyboard.press("e")
    page.keyboard.press(".")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    page.keyboard.press("Delete")
    page.keyboard.press("Control+s")
    page.locator("input:focus").wait_for()  # the first time it is asked who corrects
    page.keyboard.type("Kim")
    page.keyboard.press("Enter")
    page.get_by_text("Saved.", exact=True).wait_for()
    ring = next(b for b in studio.puts[0]["bones"] if b["name"] == "finger-2")["polygons"][0]
    before = ring_of(studio, "finger-2", "model", "p1")
    assert ring[0] == pytest.approx([before[0][0] + 10, before[0][1] + 1], abs=0.002)
    for _ in range(3):
        page.keyboard.press("Escape")
    page.locator(".card.active").wait_for()


def test_korean(visit: Callable[..., Page]) -> None:
    page = opened(visit("#/picture/p0"))
    page.get_by_role("button", name="한국어").click()
    assert page.evaluate("document.documentElement.lang") == "ko"
    page.get_by_text("노뼈(요골)").first.wait_for()
    page.get_by_role("button", name="이대로 승인").wait_for()
    page.reload()
    opened(page)
    page.get_by_text("노뼈(요골)").first.wait_for()


def test_phone_width(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit(size=PHONE)
    page.locator(".card img").first.wait_for()
    wide = "document.documentElement.scrollWidth > innerWidth || document.body.scrollWidth > innerWidth"
    assert not page.evaluate(wide)
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("combobox", name="Side").select_option("L")
    playwright.expect(page.locator(".count")).to_have_text("6 pictures")
    page.get_by_role("button", name="Filters").click()
    page.locator(".card img").first.click()
    opened(page)
    assert not page.evaluate(wide)
    stage = page.get_by_test_id("stage").bounding_box()
    assert stage["width"] == 390
    assert stage["height"] > 220
    page.mouse.click(*on_screen(page, middle(studio, "Radius", picture="p1")))
    page.locator(".selection", has_text="Radius").wait_for()
    for button in page.locator(".tools .button").all():
        assert button.bounding_box()["height"] >= 38


def axe_script() -> str:
    for path in (ROOT / "studio/node_modules/axe-core/axe.min.js",):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    package = pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python brings axe-core")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("size", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious(visit: Callable[..., Page], size: tuple[int, int], theme: str) -> None:
    axe = axe_script()
    page = visit(size=size)
    page.locator(".card img").first.wait_for()
    if theme == "dark":
        page.get_by_role("button", name="Dim page").click()
        page.mouse.move(0, 0)
    findings: list[str] = []

    def look(where: str) -> None:
        page.wait_for_timeout(200)
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
        findings.extend(f"{where}: {rule['id']} {[n['html'][:120] for n in rule['nodes'][:3]]}" for rule in serious)

    look("grid")
    page.locator(".card").first.click()
    opened(page)
    look("picture")
    for part in ("Overlays", "History"):
        page.locator("summary", has_text=part).click()
    page.keyboard.press("m")
    pick(page, "First metacarpal")
    page.keyboard.press("e")
    page.keyboard.press("s")
    look("correction")
    page.keyboard.press("Control+s")
    look("save")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    look("exchange")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    look("keys")
    page.keyboard.press("Escape")
    page.locator(".bar").get_by_role("button", name="All pictures").click()
    page.get_by_role("button", name="Retrain").click()
    page.locator("dialog").get_by_role("button", name="Start").click()
    page.locator("dialog").get_by_role("heading", name="Done").wait_for()
    look("training")
    assert findings == []
