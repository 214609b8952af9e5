"""``ossa ensemble``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ossa.cli import EXIT_SKIPPED
from ossa.cli.options import (
    PATH,
    device_option,
    looks_option,
    output,
    read_numbers,
    read_shares,
    schema_option,
    size_option,
    tell,
    threshold_option,
    thresholds_option,
    tile_option,
)

if TYPE_CHECKING:
    from ossa.schema import BoneSchema

_PATHS = click.argument("paths", nargs=-1, required=True, metavar="PATH...")
_WEIGHTS = click.option(
    "--weights", help="One number per input, comma-separated, or a file from 'ossa ensemble fit'.  [default: equal]"
)


@click.group("ensemble")
def command() -> None:
    """Several models or results as one: of models, of saved probabilities, of submission files."""


@command.command("models")
@_PATHS
@click.option("-m", "--model", "models", multiple=True, required=True, type=PATH, help="A model; repeat it.")
@output("Folder for the results.")
@click.option("--weights", help="One number per model, comma-separated.  [default: equal]")
@looks_option("none")
@threshold_option("the mean of the models'")
@tile_option()
@device_option()
@click.pass_context
def models_command(
    ctx: click.Context,
    paths: tuple[str, ...],
    models: tuple[Path, ...],
    output: Path,
    weights: str | None,
    looks: str,
    thresholds: dict[str, float],
    tile: int | None,
    device: str,
) -> None:
    """Find bones with the mean of several models' logits; results as 'ossa predict' writes them.

    All models are held at once and every image is read once. Repeat a run that was stopped: it goes on.
    """
    from ossa.pipeline.asked import with_thresholds
    from ossa.pipeline.ensemble import load_models, predict_models
    from ossa.progress import bar

    predictor = with_thresholds(load_models(models, device, read_numbers(weights), looks, tile), thresholds)
    outcome = predict_models(paths, output, predictor, track=bar, tell=tell)
    click.echo(f"{len(outcome.done)} of {outcome.total} images, {len(models)} models -> {output}")
    if outcome.skipped:
        ctx.exit(EXIT_SKIPPED)


@command.command("save")
@_PATHS
@click.option("-m", "--model", "models", multiple=True, type=PATH, help="A model; repeat it.  [default: shipped]")
@output("Folder of the store.")
@looks_option("none")
@tile_option()
@device_option()
@click.pass_context
def save_command(
    ctx: click.Context,
    paths: tuple[str, ...],
    models: tuple[Path, ...],
    output: Path,
    looks: str,
    tile: int | None,
    device: str,
) -> None:
    """Save probabilities for 'ossa ensemble soft': some 30 kB per hand. Goes on where it was stopped."""
    from ossa.pipeline.ensemble import load_models, save_probabilities
    from ossa.progress import bar

    predictor = load_models(models, device, None, looks, tile)
    saved = save_probabilities(paths, output, predictor, track=bar, tell=tell)
    before = f" ({saved.before} were there)" if saved.before else ""
    click.echo(f"{saved.saved} images saved{before} -> {output}")
    if saved.skipped:
        ctx.exit(EXIT_SKIPPED)


@command.command("soft")
@click.argument("stores", nargs=-1, required=True, type=PATH, metavar="STORE...")
@output("The CSV file to write.")
@_WEIGHTS
@click.option("--rules", type=PATH, help="Bundle whose thresholds and clean-up are used.  [default: .5, none]")
@click.option(
    "--mean",
    type=click.Choice(["logits", "probabilities"]),
    default="logits",
    show_default=True,
    help="What is averaged: logits, as 'ossa predict' does with several models, or probabilities.",
)
@thresholds_option("that of --rules, or .5")
@schema_option()
def soft_command(
    stores: tuple[Path, ...],
    output: Path,
    weights: str | None,
    rules: Path | None,
    mean: str,
    thresholds: list[dict[str, float]],
    schema: BoneSchema,
) -> None:
    """Average saved probabilities and write run lengths.

    With several thresholds OUT.csv is written at each: OUT_0.3.csv, OUT_0.5.csv, ...
    """
    from ossa.pipeline.ensemble import soft_vote
    from ossa.progress import bar

    shares = read_shares(weights, schema, len(stores))
    made = soft_vote(
        stores, output, schema=schema, weights=shares, rules=rules, thresholds=thresholds, mean=mean, track=bar
    )
    for file in made.files:
        click.echo(f"{made.images} images, mean {mean} of {len(stores)} stores -> {file}")


@command.command("vote")
@click.argument("submissions", nargs=-1, required=True, type=PATH, metavar="CSV...")
@output("The CSV file to write.")
@_WEIGHTS
@click.option(
    "--threshold",
    type=float,
    default=0.5,
    show_default=True,
    help="Share of the weight that makes a pixel bone; a tie at the threshold is bone.",
)
@size_option("Size of the images, where all are of one size.")
@click.option("--images", multiple=True, type=PATH, help="The radiographs, which know their sizes; repeat it.")
@schema_option()
def vote_command(
    submissions: tuple[Path, ...],
    output: Path,
    weights: str | None,
    threshold: float,
    size: tuple[int, int] | None,
    images: tuple[Path, ...],
    schema: BoneSchema,
) -> None:
    """Let submission files vote, pixel by pixel, on their run lengths."""
    from ossa.pipeline.ensemble import image_sizes, vote
    from ossa.progress import bar

    if bool(images) == (size is not None):
        raise click.UsageError("Give --images with the radiographs, or --size (2048x2048 in the competition).")
    shares = read_shares(weights, schema, len(submissions))
    count = vote(
        submissions,
        output,
        schema=schema,
        weights=shares,
        threshold=threshold,
        shape=image_sizes(images) if size is None else size,
        track=bar,
    )
    click.echo(f"{count} images, {len(submissions)} files -> {output}")


@command.command("fit")
@click.argument("inputs", nargs=-1, required=True, type=PATH, metavar="STORE|CSV...")
@click.option("--truth", required=True, type=PATH, help="Data set with the labels of the inputs' images.")
@click.option("--bone", "bones", multiple=True, metavar="NAME", help="Only this bone, of CSV files; repeat it.")
@output("The JSON file of weights to write.")
@schema_option()
def fit_command(
    inputs: tuple[Path, ...], truth: Path, bones: tuple[str, ...], output: Path, schema: BoneSchema
) -> None:
    """Fit one weight per input and bone on OUT-OF-FOLD results: which of them help which bone.

    Inputs are saved probabilities (for 'soft') or submission files (for 'vote'). Every image must have been predicted
    by a model that never saw its subject. Gains are measured on subjects that the search had not seen; a bone that
    gains nothing, or is not asked for, keeps equal weights.
    """
    from ossa.pipeline.ensemble import fit_weights
    from ossa.pipeline.fit_votes import fit_votes
    from ossa.progress import bar
    from ossa.safety import refuse_inputs, write_json

    refuse_inputs(output, [*inputs, truth])
    files = [path for path in inputs if path.suffix.lower() == ".csv"]
    if files and len(files) < len(inputs):
        raise click.UsageError("Give saved probabilities or submission files, not both.")
    if bones and not files:
        raise click.UsageError("--bone is for submission files; saved probabilities are fitted for every bone.")
    if files:
        fitted = fit_votes(files, truth, schema=schema, bones=bones, track=bar)
    else:
        fitted = fit_weights(inputs, truth, schema=schema, track=bar)
    write_json(output, fitted.to_json())
    click.echo(f"{'bone':14} {'equal':>8} {'selected':>9} {'gain':>8}  weights")
    for name, entry in fitted.to_json()["bones"].items():
        if entry["uniform"] is None:
            continue
        gain = entry["selected"] - entry["uniform"]
        weights = " ".join(f"{w:.2f}" for w in entry["weights"])
        click.echo(f"{name:14} {entry['uniform']:8.4f} {entry['selected']:9.4f} {gain:+8.4f}  {weights}")
    click.echo(f"mean of what is used: {fitted.mean_gain():+.5f} -> {output}")
