"""The studio's page in a real browser: to correct, to drop files, to retrain; and once with the real server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers_browser import Page, drag, drop, middle, on_screen, opened, pick, ring_of, save, settle, until
from helpers_desk import data_set, predictions
from helpers_studio import Studio

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright (ossa[dev]) drives the browser")


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


def test_a_film_of_two_hands_has_a_switch(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card").first.wait_for()
    drop(page, "both.dcm", "two hands")
    page.get_by_text("2 hands found").wait_for()
    opened(page)
    first = page.get_by_role("button", name="Hand 1 of 2")
    assert first.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Hand 2 of 2").click()
    until(page, "location.hash.startsWith('#/picture/drop1')")
    opened(page)
    first.click()
    until(page, "location.hash.startsWith('#/picture/drop0')")


def test_corrections_leave_as_files(visit: Callable[..., Page], studio: Studio) -> None:
    studio.save("p0", {"author": "Kim", "note": "", "bones": studio.bones("p0", "truth")["bones"]})
    page = visit()
    page.get_by_role("button", name="Export").click()
    dialog = page.locator("dialog")
    playwright.expect(dialog.get_by_role("combobox", name="Format")).to_have_value("labelme")
    dialog.get_by_role("combobox", name="Format").select_option("yolo")
    dialog.get_by_text("Which bones nobody judged is lost.").wait_for()
    dialog.get_by_role("button", name="Write", exact=True).click()
    dialog.get_by_text("1 labels written as yolo.").wait_for()
    dialog.get_by_text("p9 has no label").wait_for()
    assert studio.exports == [{"format": "yolo", "pictures": "corrected", "images": False}]
    with page.expect_download() as coming:
        dialog.get_by_role("link", name="Download").click()
    assert coming.value.url.endswith("/api/export/1")
    dialog.get_by_role("button", name="Write into the data set").click()
    assert studio.written_back == 0  # asked once more
    dialog.get_by_role("button", name="Replace them").click()
    dialog.get_by_text("1 labels of the data set replaced.").wait_for()
    dialog.get_by_text("replaced/2026-11-26").wait_for()
    assert studio.written_back == 1


def test_a_retraining_that_cannot_begin_says_why(visit: Callable[..., Page], studio: Studio) -> None:
    studio.strict = True
    page = visit()
    page.get_by_role("button", name="Retrain").click()
    dialog = page.locator("dialog")
    dialog.get_by_text("Too few people are corrected.").wait_for()
    dialog.get_by_text("Correct another one.").wait_for()
    assert dialog.get_by_role("button", name="Start").is_disabled()
    dialog.get_by_role("combobox", name="Train on").select_option("all")
    dialog.get_by_role("button", name="Start").click()
    dialog.get_by_role("heading", name="Done").wait_for()
    assert studio.jobs[0]["asked"]["pictures"] == "all"


def test_starts_a_retraining_and_compares(visit: Callable[..., Page], studio: Studio) -> None:
    page = visit()
    page.locator(".card").first.wait_for()
    page.get_by_role("button", name="Retrain").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Epochs").fill("3")
    dialog.get_by_role("button", name="Start").click()
    dialog.locator("progress").wait_for()
    dialog.get_by_role("img", name="dice:").wait_for()
    playwright.expect(dialog.get_by_role("log")).to_contain_text("epoch 10: loss 0.100")
    dialog.get_by_role("heading", name="Done").wait_for()
    assert "Old .900 → New .912 (+.012)" in dialog.inner_text()
    dialog.get_by_role("button", name="Show the new model").click()
    until(page, "location.hash.includes('source=other') && location.hash.includes('corrected=true')")
    # A corrected picture shows the new model, the old one and the truth beside each other.
    page.get_by_role("button", name="Retrain").click()
    assert "(trained on)" in dialog.get_by_role("row", name="p0.png").inner_text()
    dialog.get_by_role("button", name="p2.png").click()
    until(page, "location.hash.startsWith('#/picture/p2')")
    opened(page)
    playwright.expect(page.locator(".caption")).to_have_text(["submission.csv", "ossa-phantom-4", "Truth"])


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


# ---- the real server -----------------------------------------------------------------------------------------------


def test_with_the_real_server(browser: Any, tmp_path: Path) -> None:
    """`ossa studio` as people start it: grid, compare, correct, save; the label file on the disk is what was drawn."""
    pytest.importorskip("fastapi", reason="pip install 'ossa[serve]'")
    root = data_set(tmp_path, 2)
    out = tmp_path / "kept"
    command = [sys.executable, "-m", "ossa", "studio", str(root), "-o", str(out), "--no-browser"]
    command += ["--predictions", str(predictions(tmp_path, root))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            lines: list[str] = []
            while not lines or "http://" not in lines[-1]:
                lines.append(server.stderr.readline())
                assert lines[-1], "".join(lines)
            address = re.search(r"http://\S+", lines[-1])
            assert address is not None
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            faults: list[str] = []
            page.on("pageerror", lambda fault: faults.append(str(fault)))
            page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
            page.set_default_timeout(20_000)
            page.goto(address.group() + "#/?search=train")
            page.locator(".card img").first.click()
            opened(page)
            page.keyboard.press("d")
            page.locator(".legend", has_text="only in Truth").wait_for()
            pick(page, "Radius")
            page.keyboard.press("a")
            save(page, "Kim", "cast")
            page.get_by_text("Saved.", exact=True).wait_for()
            page.locator(".bone.off", has_text="Radius").wait_for()
            page.locator("summary", has_text="History").click()
            page.get_by_text("cast").wait_for()
            page.close()
            assert faults == []
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    (label,) = (out / "corrections").rglob("*.json")
    drawn = {one["label"] for one in json.loads(label.read_text(encoding="utf-8"))["annotations"]}
    assert "Radius" not in drawn
    assert {"Ulna", "Capitate"} <= drawn
