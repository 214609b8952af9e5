"""``ossa prepare``: parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from ossa.cli import EXIT_SKIPPED
from ossa.cli.options import PATH, device_option, tell


@click.group("prepare")
def command() -> None:
    """Work on radiographs before training."""


@command.command("super-resolve")
@click.argument("source", metavar="IN", type=PATH)
@click.argument("output", metavar="OUT", type=PATH)
@click.option("--weights", required=True, type=PATH, help="Weight file, for instance RealESRGAN_x2plus.pth.")
@click.option("--tile", type=int, default=192, show_default=True, help="Side of a tile, in px.")
@click.option("--overlap", type=int, default=32, show_default=True, help="What a tile sees around itself, in px.")
@device_option()
@click.pass_context
def super_resolve_command(
    ctx: click.Context, source: Path, output: Path, weights: Path, tile: int, overlap: int, device: str
) -> None:
    """Sharpen the radiographs of IN with a super-resolution network.

    Every picture is enlarged by the network and averaged back to its own size, so that labels still fit. OUT gets the
    folders and names of IN, and the labels of a data set: it can be trained on, or named by data.images of a run file;
    pictures that are there already are kept, so the same command continues a run that was stopped. The weight file is
    yours to bring; any single-picture network that spandrel knows will do.
    """
    from ossa.pipeline.super_resolve import super_resolve
    from ossa.progress import bar

    result = super_resolve(
        source,
        output,
        weights,
        tile=tile,
        overlap=overlap,
        device=device,
        track=bar,
        tell=tell,
    )
    for _, reason in result.skipped:
        tell(f"left out: {reason}")
    kept = f", {result.kept} were there already" if result.kept else ""
    labels = f", {result.labelled} with labels" if result.labelled else ""
    click.echo(f"{result.made} pictures made{kept}{labels}, {len(result.skipped)} left out -> {result.output}")
    if result.skipped:
        ctx.exit(EXIT_SKIPPED)
