"""Telling a person how far a long job is: a bar on a terminal, silence anywhere else.

Library code takes a ``Track`` and wraps its loop in it; the command line passes ``bar``, a test
or a notebook leaves the default ``silent``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes the items of a loop through and tells somebody how many of ``total`` are done."""

    def __call__(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """The same items in the same order; ``what`` names the work ("reading images")."""
        ...


def silent(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass the items through and tell nobody."""
    del total, what
    yield from items


def bar(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass the items through behind a rich progress bar on standard error.

    Where standard error is no terminal (a pipe, a log, a test) nothing is drawn and rich is not
    imported.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        for item in items:
            yield item
            progress.advance(task)
