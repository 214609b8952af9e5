"""``ossa phantom``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ossa.cli.options import PATH, WHERE, engine_options, schema_option

if TYPE_CHECKING:
    from ossa.schema import BoneSchema


@click.command("phantom")
@click.argument("output", metavar="OUT", type=WHERE)
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
    help="flat: tidy, filling the frame. wide: films as they come, children, casts and cut-off parts included.",
)
@click.option(
    "--anatomy",
    "anatomies",
    multiple=True,
    type=PATH,
    help="Folder of bone meshes; given again, people between whom one is drawn.  [default: the built-in hand]",
)
@schema_option()
@click.option("--rehearsal", is_flag=True, help="Make the hand-bone competition as it was published instead.")
@click.option("--train", type=int, help="Subjects to train on in a rehearsal, two hands each.  [default: 40]")
@click.option("--test", type=int, help="Subjects of its test set.  [default: 14]")
@click.option("-j", "--processes", type=int, help="Parallel processes, or workers of a cluster.  [default: all]")
@engine_options(workers=False)
@click.pass_context
def command(
    ctx: click.Context,
    output: str | Path,
    count: int,
    seed: int,
    size: int,
    world: str,
    anatomies: tuple[Path, ...],
    schema: BoneSchema,
    rehearsal: bool,
    train: int | None,
    test: int | None,
    processes: int | None,
    engine: str,
    address: str | None,
) -> None:
    """Make synthetic radiographs with perfect, overlapping truth.

    OUT becomes a data set in the competition's layout (OUT/train/DCM, OUT/train/outputs_json). Pictures that are there
    already are kept: the same command continues a run that was stopped, and a larger -n extends it.

    With --rehearsal OUT becomes the whole contest: subjects with two hands, a test set without labels (its truth lies
    apart, in OUT/truth), meta_data.xlsx, and labels with the mistakes of the published ones.
    """
    _refuse_mixed(ctx, rehearsal)
    if rehearsal:
        _rehearse(Path(output), train, test, seed, size, anatomies, processes)
        return
    from ossa.parallel.engines import pool_of
    from ossa.pipeline.phantom import make_phantoms
    from ossa.progress import bar

    made = make_phantoms(
        output,
        count,
        seed=seed,
        size=size,
        options=world,
        anatomies=anatomies,
        schema=schema,
        processes=processes,
        pool=None if engine == "local" and address is None else pool_of(engine, address, processes),
        track=bar,
    )
    if made.without:
        click.echo(f"note: none with {', '.join(made.without)}: schema {schema.name} says nothing of them", err=True)
    kept = f", {made.kept} were there already" if made.kept else ""
    click.echo(f"{made.made} phantoms made{kept} -> {made.output}")


def _refuse_mixed(ctx: click.Context, rehearsal: bool) -> None:
    """Options that the other of the two kinds of folders has."""
    ours = {"count": "-n", "world": "--world", "schema": "--schema", "engine": "--engine", "address": "--address"}
    names = ours if rehearsal else {"train": "--train", "test": "--test"}
    for name, option in names.items():
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} {'does not go with' if rehearsal else 'needs'} --rehearsal.", ctx)


def _rehearse(
    output: Path,
    train: int | None,
    test: int | None,
    seed: int,
    size: int,
    anatomies: tuple[Path, ...],
    processes: int | None,
) -> None:
    from ossa.pipeline.rehearsal import TEST, TRAIN, TRUTH, make_rehearsal
    from ossa.progress import bar

    made = make_rehearsal(
        output,
        train=TRAIN if train is None else train,
        test=TEST if test is None else test,
        seed=seed,
        size=size,
        anatomies=anatomies,
        processes=processes,
        track=bar,
    )
    kept = f", {made.kept} were there already" if made.kept else ""
    click.echo(f"{made.made} films taken{kept} -> {made.output}; the truth of the test set -> {output / TRUTH}")
