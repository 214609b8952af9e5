"""``ossa phantom``: parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from ossa.cli.options import PATH


@click.command("phantom")
@click.argument("output", metavar="OUT", type=PATH)
@click.option(
    "-n", "--count", type=int, default=100, show_default=True, help="How many pictures the folder shall hold."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same pictures.")
@click.option("--size", type=int, default=2048, show_default=True, help="Longest side, in px.")
@click.option(
    "--world",
    type=click.Choice(["flat", "wide"]),
    default="flat",
    show_default=True,
    help="flat: tidy hands that fill the frame. wide: films as they come, children, casts and cut-off hands included.",
)
@click.option(
    "--anatomy",
    "anatomies",
    multiple=True,
    type=PATH,
    help="Folder of bone meshes; given again, people between whom hands are drawn.  [default: the built-in hand]",
)
@click.option("-j", "--processes", type=int, help="Parallel processes.  [default: one per core]")
def command(
    output: Path,
    count: int,
    seed: int,
    size: int,
    world: str,
    anatomies: tuple[Path, ...],
    processes: int | None,
) -> None:
    """Make synthetic radiographs with perfect, overlapping truth.

    OUT becomes a data set in the competition's layout (OUT/train/DCM, OUT/train/outputs_json). Pictures that are there
    already are kept: the same command continues a run that was stopped, and a larger -n extends it.
    """
    from ossa.pipeline.phantom import make_phantoms
    from ossa.progress import bar

    made = make_phantoms(
        output, count, seed=seed, size=size, options=world, anatomies=anatomies, processes=processes, track=bar
    )
    kept = f", {made.kept} were there already" if made.kept else ""
    click.echo(f"{made.made} phantoms made{kept} -> {made.output}")
