"""What a user does on the studio's page, in a few words each: for tests that drive a browser."""

from __future__ import annotations

import re
import time
from typing import Any

from helpers_studio import Studio

#: A page of Playwright, which is not imported here: it may be missing.
Page = Any
DESKTOP, PHONE = (1280, 800), (390, 780)


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
