"""``ossa info``: parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("info")
@click.argument("path", required=False, type=click.Path(path_type=Path))
def command(path: Path | None) -> None:
    """Say what PATH is: an image, a model bundle, a data set folder, a label or a submission.

    Without PATH: the shipped model.
    """
    from ossa.pipeline.info import describe

    facts = describe(path)
    width = max(len(name) for name, _ in facts.rows)
    click.echo(facts.kind)
    for name, value in facts.rows:
        click.echo(f"  {name:<{width}}  {value}")
