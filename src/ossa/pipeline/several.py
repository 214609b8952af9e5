"""What the results of a film with several hands are called: hand_left.json, hand_right.json, or hand_1.json, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ossa.pipeline.sources import Source

_WORDS = {"L": "left", "R": "right"}


def apart(source: Source, sides: Sequence[str | None], taken: Callable[[str], bool]) -> list[Source]:
    """A source for the results of each hand of ``source``, given the ``sides`` ("L", "R" or None) of its hands.

    One hand keeps the source's names. A left and a right hand are called so; otherwise they are numbered. Names that
    are ``taken`` by other results are kept clear of.
    """
    if len(sides) == 1:
        return [source]
    numbers = [str(k) for k in range(1, len(sides) + 1)]
    choices = [numbers, [f"hand{k}" for k in numbers]]
    if sorted(map(str, sides)) == ["L", "R"]:
        choices.insert(0, [_WORDS[str(side)] for side in sides])
    for words in choices:
        named = [_named(source, word) for word in words]
        if not any(taken(one.name) for one in named):
            break
    return named


def _named(source: Source, word: str) -> Source:
    image = Path(source.image_name)
    called = image.with_name(f"{image.stem}_{word}{image.suffix}").as_posix()
    return replace(source, name=f"{source.name}_{word}", image_name=called)
