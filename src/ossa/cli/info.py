"""``ossa info``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ossa.cli.options import PATH, names_option, schema_option

if TYPE_CHECKING:
    from ossa.schema import BoneSchema

#: Lines that one fact may take; a program asks for all of it with --json.
_MOST_LINES = 3


@click.command("info")
@click.argument("path", required=False, type=PATH)
@names_option()
@schema_option(None)
@click.option("--json", "as_json", is_flag=True, help="All facts as JSON, for programs.")
def command(path: Path | None, names: Path | None, schema: BoneSchema | None, as_json: bool) -> None:
    """Say what PATH is: an image, a model, a data set, labels (also labelme and COCO files), a submission, a training
    run, saved probabilities, folds, an evaluation, a gallery, or a folder of results.

    Without PATH: the shipped model.
    """
    from ossa.pipeline.info import describe

    facts = describe(path, names, schema)
    if as_json:
        import json

        click.echo(json.dumps(facts.to_json(), ensure_ascii=False, indent=1))
        return
    width = max(len(name) for name, _ in facts.rows)
    click.echo(facts.kind)
    for name, value in facts.rows:
        for number, line in enumerate(_lines(value)):
            click.echo(f"  {name if number == 0 else '':<{width}}  {line}")


def _lines(text: str) -> list[str]:
    """A fact in lines of some 100 letters, the first few of them."""
    from textwrap import wrap

    lines = wrap(text, 100, break_long_words=False, break_on_hyphens=False) or [""]
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1] + " ..."]
