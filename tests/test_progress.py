"""Progress: the items pass through unchanged, and only a terminal sees a bar."""

from __future__ import annotations

import io
import sys

import pytest

from ossa.progress import bar, silent


@pytest.mark.parametrize("track", [silent, bar])
def test_items_pass_in_order_and_lazily(track) -> None:
    taken: list[int] = []

    def items():
        for i in range(3):
            taken.append(i)
            yield i

    loop = track(items(), 3, "counting")
    assert next(loop) == 0
    assert taken == [0]
    assert list(loop) == [1, 2]


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(bar(range(3), 3, "counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert list(bar(range(3), 3, "counting")) == [0, 1, 2]
    assert "counting" in screen.getvalue()
    assert "3/3" in screen.getvalue()


def test_an_error_inside_the_loop_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ZeroDivisionError):
        sum(1 // (1 - i) for i in bar(range(3), 3, "counting"))
