"""What the results of a film with several hands are called: hand_left.json, hand_right.json, or hand_1.json, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ossa.pipeline.films import Film

_WORDS = {"L": "left", "R": "right"}


def apart(film: Film, sides: Sequence[str | None], taken: Callable[[str], bool]) -> list[Film]:
    """A film for the results of each hand of ``film``, given the ``sides`` ("L", "R" or None) of its hands.

    One hand keeps the film's names. A left and a right hand are called so; otherwise they are numbered. Names that
    are ``taken`` by other results are kept clear of.
    """
    if len(sides) == 1:
        return [film]
    numbers = [str(k) for k in range(1, len(sides) + 1)]
    choices = [numbers, [f"hand{k}" for k in numbers]]
    if sorted(map(str, sides)) == ["L", "R"]:
        choices.insert(0, [_WORDS[str(side)] for side in sides])
    for words in choices:
        named = [_named(film, word) for word in words]
        if not any(taken(one.name) for one in named):
            break
    return named


def _named(film: Film, word: str) -> Film:
    image = Path(film.image_name)
    called = image.with_name(f"{image.stem}_{word}{image.suffix}").as_posix()
    return replace(film, name=f"{film.name}_{word}", image_name=called)
