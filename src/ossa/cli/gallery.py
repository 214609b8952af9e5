"""``ossa gallery``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ossa.cli import EXIT_SKIPPED
from ossa.cli.options import PATH, names_option, output, schema_option, tell

if TYPE_CHECKING:
    from ossa.schema import BoneSchema


@click.command("gallery")
@click.argument("sources", nargs=-1, required=True, type=PATH, metavar="SOURCE...")
@output("Folder for the gallery.")
@click.option("--truth", type=PATH, help="Data set or labels to compare with.")
@click.option("--images", type=PATH, help="Folder of the pictures, where the sources have none.")
@click.option("--folds", type=PATH, help="Folds file of a training run: shows each one's fold.")
@schema_option()
@names_option()
@click.option("--title", help="Heading of the page.")
@click.option(
    "--size", default=1024, show_default=True, help="Longest side, in px, of the pictures that a click shows."
)
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[Path, ...],
    output: Path,
    truth: Path | None,
    images: Path | None,
    folds: Path | None,
    schema: BoneSchema,
    names: Path | None,
    title: str | None,
    size: int,
) -> None:
    """Make a page to look at a data set, at predictions, or at several submissions side by side.

    SOURCE is a data set folder, a folder that 'ossa predict' wrote, a folder of label files or a submission CSV. A
    data set among them is the truth. OUTPUT/index.html opens in any browser, straight from the disk.

    Exit codes: 0 done; 1 some pictures or labels could not be read (the gallery says which); 2 nothing done.
    """
    from ossa.pipeline.gallery import gallery
    from ossa.progress import bar

    written = gallery(
        sources,
        output,
        truth=truth,
        images=images,
        folds=folds,
        schema=schema,
        names=names,
        title=title,
        size=size,
        track=bar,
    )
    for _, reason in written.failed:
        tell(f"skipped: {reason}")
    click.echo(f"{written.pictures} pictures -> {written.page}")
    if written.failed:
        ctx.exit(EXIT_SKIPPED)
