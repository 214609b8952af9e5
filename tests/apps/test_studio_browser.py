"""The studio's page in a real browser (Debian's Chromium), against the stand-in for its server: what users do with it.

Skipped where Playwright (pip) or a Chromium is missing; OSSA_CHROMIUM names one elsewhere. Screenshots of a run are
kept in the folder that OSSA_SCREENSHOTS names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers_studio import Studio

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright (ossa[dev]) drives the browser")
CHROMIUM = os.environ.get("OSSA_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no Chromium: apt-get install chromium, or name one by OSSA_CHROMIUM", allow_module_level=True)

ROOT = Path(__file__).parents[2]
Page = Any
DESKTOP, PHONE = (1280, 800), (390, 780)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


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


def until(page: Page, condition: str, seconds: float = 20.0) -> None:
    """Wait until a JavaScript expression is true. Playwright's own way needs eval, which the policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"never true: {condition}"
        page.wait_for_timeout(30)


def opened(page: Page) -> Page:
    """The page once the picture and its bones are drawn."""
    page.locator(".bone").first.wait_for()
    until(page, "document.querySelector('[data-testid=stage]')?.stage?.bones.bones.length > 20")
    until(page, "document.querySelector('[data-testid=stage]').stage.film.film.state.value === 'ready'")
    return page


def on_screen(page: Page, point: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the picture lies in the window."""
    place = page.evaluate(
        """([x, y]) => {
          const node = document.querySelector('[data-testid=stage]'), box = node.getBoundingClientRect();
          const [u, v] = node.stage.map.getPixelFromCoordinate([x + 0.5, -(y + 0.5)]);
          return [box.left + u, box.top + v];
        }""",
        list(point),
    )
    return place[0], place[1]


def pick(page: Page, bone: str) -> None:
    page.locator(".bone button", has_text=re.compile(bone)).first.click()


def settle(page: Page) -> None:
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def middle(studio: Studio, bone: str, source: str = "model", picture: str = "p0") -> tuple[float, float]:
    ring = ring_of(studio, bone, source, picture)
    return sum(x for x, _ in ring) / len(ring), sum(y for _, y in ring) / len(ring)


def ring_of(studio: Studio, bone: str, source: str = "model", picture: str = "p0") -> list[list[float]]:
    bones = studio.bones(picture, source)["bones"]
    return next(b for b in bones if b["name"] == bone)["polygons"][0]


def drag(page: Page, *points: tuple[float, float], button: str = "left") -> None:
    page.mouse.move(*points[0])
    page.mouse.down(button=button)
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up(button=button)
    settle(page)


def save(page: Page, author: str = "Kim", note: str = "") -> None:
    page.keyboard.press("Control+s")
    page.get_by_label("Your name").fill(author)
    page.get_by_label("Note").fill(note)
    page.locator("dialog").get_by_role("button", name="Save").click()


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


# ---- correct -------------------------------------------------------------------------------------------------------


def test_corrects_undoes_and_saves(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "First metacarpal")
    page.keyboard.press("e")
    settle(page)
    corner = ring_of(studio, "finger-3")[0]
    start = on_screen(page, (corner[0], corner[1]))
    drag(page, start, (start[0] + 30, start[1] + 20))
    page.locator("h1 .dot").wait_for()
    scale = page.evaluate("document.querySelector('[data-testid=stage]').stage.map.getView().getResolution()")
    page.keyboard.press("Control+z")
    playwright.expect(page.locator("h1 .dot")).to_have_count(0)
    page.keyboard.press("Control+y")
    page.locator("h1 .dot").wait_for()
    save(page, "Kim", "the base was too short")
    page.get_by_text("Saved.", exact=True).wait_for()
    playwright.expect(page.locator("h1 .dot")).to_have_count(0)
    (put,) = studio.puts
    assert (put["author"], put["note"], put["revision"]) == ("Kim", "the base was too short", 0)
    assert len(put["bones"]) == 29
    ring = next(b for b in put["bones"] if b["name"] == "finger-3")["polygons"][0]
    moved = [p for p in ring if p not in ring_of(studio, "finger-3")]
    assert len(moved) == 1
    assert moved[0] == pytest.approx([corner[0] + 30 * scale, corner[1] + 20 * scale], abs=2 * scale)
    # Now the truth is shown, corrected, and the history tells it.
    page.locator(".bar .badge", has_text="Corrected").wait_for()
    page.locator("summary", has_text="History").click()
    page.get_by_text("the base was too short").wait_for()


def test_adds_and_deletes_points(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "Radius")
    page.keyboard.press("e")
    settle(page)
    layer = "document.querySelector('[data-testid=stage]').stage.map.getLayers().getArray().at(-1)"
    count = f"{layer}.getSource().getFeatures()[0].getGeometry().getCoordinates()[0][0].length - 1"
    ring = ring_of(studio, "Radius")
    assert page.evaluate(count) == len(ring)
    longest = max(range(len(ring)), key=lambda i: abs(ring[i][1] - ring[i - 1][1]))
    (x, y), (u, v) = ring[longest], ring[longest - 1]
    edge = on_screen(page, ((x + u) / 2, (y + v) / 2))
    drag(page, edge, (edge[0] + 25, edge[1]))
    until(page, f"{count} === {len(ring) + 1}")
    page.get_by_role("button", name="A click deletes points").click()
    page.mouse.click(edge[0] + 25, edge[1])
    until(page, f"{count} === {len(ring)}")


@pytest.mark.parametrize("key", ["p", "r", "o"])
def test_pulls_and_redraws(visit: Callable[..., Page], studio: Studio, key: str) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "Ulna")
    page.keyboard.press(key)
    settle(page)
    x, y = middle(studio, "Ulna")
    corners = [on_screen(page, (x + dx, y + dy)) for dx, dy in ((-12, -40), (12, -40), (12, 40), (-12, 40))]
    if key == "p":
        side = max(ring_of(studio, "Ulna"), key=lambda p: p[0])
        start = on_screen(page, (side[0], side[1]))
        drag(page, start, (start[0] + 15, start[1]))
    elif key == "r":
        drag(page, *corners, (corners[0][0], corners[0][1] + 3))
    else:
        for corner in corners:
            page.mouse.click(*corner)
            page.wait_for_timeout(60)
        page.mouse.click(*corners[0])
    page.locator("h1 .dot").wait_for()
    save(page)
    page.get_by_text("Saved.", exact=True).wait_for()
    ring = next(b for b in studio.puts[0]["bones"] if b["name"] == "Ulna")["polygons"][0]
    if key == "p":
        assert max(p[0] for p in ring) > max(p[0] for p in ring_of(studio, "Ulna")) + 5
    else:
        assert max(p[0] for p in ring) == pytest.approx(x + 12, abs=2)
        assert min(p[1] for p in ring) == pytest.approx(y - 40, abs=2)


def test_exchanges_marks_and_smooths(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "Lunate")
    page.keyboard.press("x")
    page.locator("dialog").get_by_role("button", name="Scaphoid").click()
    pick(page, "Pisiform")
    page.keyboard.press("a")
    pick(page, "Hamate")
    page.keyboard.press("j")
    pick(page, "Radius")
    page.keyboard.press("s")
    save(page)
    page.get_by_text("Saved.", exact=True).wait_for()
    bones = {b["name"]: b for b in studio.puts[0]["bones"]}
    assert bones["Lunate"]["polygons"][0] == ring_of(studio, "Scaphoid")
    assert bones["Scaphoid"]["polygons"][0] == ring_of(studio, "Lunate")
    assert (bones["Pisiform"]["state"], bones["Pisiform"]["polygons"]) == ("absent", [])
    assert (bones["Hamate"]["state"], bones["Hamate"]["polygons"]) == ("not judged", [])
    assert bones["Radius"]["polygons"][0] != ring_of(studio, "Radius")


def test_two_people_on_one_picture(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "Radius")
    page.keyboard.press("s")
    theirs = studio.bones("p0", "truth")["bones"]
    ulna = next(b for b in theirs if b["name"] == "Ulna")
    ulna["polygons"] = [[[x + 9, y] for x, y in ulna["polygons"][0]]]
    studio.save("p0", {"author": "Lee", "note": "", "bones": theirs})
    save(page)
    dialog = page.locator("dialog", has_text="Somebody else saved this picture")
    dialog.wait_for()
    assert "Lee" in dialog.inner_text()
    assert "Radius" in dialog.inner_text()
    dialog.get_by_role("button", name="Put my bones on top").click()
    page.locator("h1 .dot").wait_for()
    save(page)
    page.get_by_text("Saved.", exact=True).wait_for()
    bones = {b["name"]: b for b in studio.puts[-1]["bones"]}
    assert studio.puts[-1]["revision"] == 1
    assert bones["Ulna"]["polygons"][0][0] == pytest.approx(ulna["polygons"][0][0])
    radius = next(b for b in theirs if b["name"] == "Radius")
    assert bones["Radius"]["polygons"] != radius["polygons"]


def test_a_good_prediction_is_accepted_as_it_is(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    page.get_by_role("button", name="Accept").click()
    page.get_by_label("Your name").fill("Kim")
    page.locator("dialog").get_by_role("button", name="Save").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    assert {b["name"]: b["polygons"][0] for b in studio.puts[0]["bones"]}["Radius"] == ring_of(studio, "Radius")


def test_a_full_disk_is_said_and_nothing_is_lost(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "Radius")
    page.keyboard.press("s")
    studio.full_disk = True
    save(page)
    notice = page.locator(".notice.bad", has_text="The disk is full.")
    notice.wait_for()
    assert "Free some space and save again" in notice.inner_text()
    page.locator("h1 .dot").wait_for()


def test_a_closed_tab_leaves_a_draft(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "Radius")
    page.keyboard.press("s")
    page.close()
    page = visit()
    page.get_by_text("Not saved yet (1)").wait_for()
    page.locator(".drafts .chip").click()
    opened(page)
    page.get_by_role("button", name="Go on with it").click()
    page.locator("h1 .dot").wait_for()
    save(page)
    page.get_by_text("Saved.", exact=True).wait_for()
    assert next(b for b in studio.puts[0]["bones"] if b["name"] == "Radius")["polygons"][0] != ring_of(studio, "Radius")
    page.goto(studio.url)
    page.locator(".card").first.wait_for()
    assert page.locator(".drafts").count() == 0


def test_a_lost_connection_is_told_and_found_again(visit: Callable[..., Page], studio: Studio) -> None:
    page = opened(visit("#/picture/p0"))
    pick(page, "Radius")
    page.keyboard.press("s")
    studio.stop()
    save(page)
    page.get_by_text("The server does not answer.").wait_for()
    studio.start()
    page.get_by_text("The server answers again.").wait_for()
    save(page)
    page.get_by_text("Saved.", exact=True).wait_for()
    assert len(studio.puts) == 1


def test_history_restores(visit: Callable[..., Page], studio: Studio) -> None:
    bones = studio.bones("p0", "truth")["bones"]
    for author, state in (("Kim", "absent"), ("Lee", "not judged")):
        changed = [{**b, "state": state, "polygons": []} if b["name"] == "Pisiform" else b for b in bones]
        studio.save("p0", {"author": author, "note": f"pisiform {state}", "bones": changed})
    page = opened(visit("#/picture/p0"))
    page.locator(".bone.off", has_text="Pisiform").wait_for()
    page.locator("summary", has_text="History").click()
    page.locator(".history li", has_text="The data set's own label").get_by_role("button", name="Restore").click()
    playwright.expect(page.locator(".bone.off")).to_have_count(0)
    save(page)
    page.get_by_text("Saved.", exact=True).wait_for()
    assert next(b for b in studio.puts[0]["bones"] if b["name"] == "Pisiform")["state"] == "found"


def test_next_doubtful(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card").first.wait_for()
    page.locator(".brand a").focus()
    order = sorted(studio.names(), key=lambda name: studio.row(name)["confidence"])
    for name in order[:3]:
        page.keyboard.press("n")
        until(page, f"location.hash.startsWith('#/picture/{name}')")
        opened(page)


# ---- files, trainings, errors --------------------------------------------------------------------------------------


def drop(page: Page, name: str, text: str) -> None:
    page.evaluate(
        """([name, text]) => {
          const data = new DataTransfer();
          data.items.add(new File([text], name));
          const node = document.querySelector('.page');
          const event = { dataTransfer: data, bubbles: true, cancelable: true };
          for (const kind of ['dragover', 'drop']) node.dispatchEvent(new DragEvent(kind, event));
        }""",
        [name, text],
    )


def test_drops_a_file(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card").first.wait_for()
    drop(page, "letter.txt", "not a picture")
    notice = page.locator(".notice.bad", has_text="letter.txt is no picture.")
    notice.wait_for()
    assert "Choose a radiograph." in notice.inner_text()
    drop(page, "wrist.dcm", "pixels")
    until(page, "location.hash.startsWith('#/picture/drop0')")
    opened(page)
    assert studio.dropped == ["wrist.dcm"]
    assert page.locator("h1").inner_text().strip() == "wrist.dcm"


def test_starts_a_retraining_and_compares(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card").first.wait_for()
    page.get_by_role("button", name="Retrain").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Epochs").fill("3")
    dialog.get_by_role("button", name="Start").click()
    dialog.locator("progress").wait_for()
    dialog.get_by_role("img", name="dice:").wait_for()
    dialog.get_by_role("heading", name="Done").wait_for()
    assert "Old .900 → New .912 (+.012)" in dialog.inner_text()
    dialog.get_by_role("button", name="Show the new model").click()
    until(page, "location.hash.includes('source=other') && location.hash.includes('corrected=true')")


def test_errors_are_said_in_the_servers_words(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit("#/picture/nothing")
    page.get_by_role("heading", name="There is no picture nothing.").wait_for()
    page.get_by_role("button", name="All pictures").click()
    page.locator(".card").first.wait_for()
    studio.broken.add("/image")
    page.locator(".card").first.click()
    cover = page.locator(".cover", has_text="The picture cannot be read.")
    cover.wait_for()
    assert "Copy the file again." in cover.inner_text()


def test_a_reader_cannot_write(browser: Any) -> None:
    with Studio(writable=False) as studio:
        page = browser.new_page()
        page.goto(studio.url + "#/picture/p0")
        opened(page)
        for name in ("Save", "Retrain", "Open a file"):
            assert page.get_by_role("button", name=name).count() == 0
        pick(page, "Radius")
        for key in "esxaj":
            page.keyboard.press(key)
        assert page.locator("h1 .dot").count() == 0
        page.close()


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
