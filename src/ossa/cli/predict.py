"""``ossa predict``: parse, call, print."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ossa.cli import EXIT_INTERRUPTED, EXIT_SKIPPED
from ossa.cli.options import (
    FORMATS,
    WHERE,
    device_option,
    engine_options,
    looks_option,
    model_option,
    output,
    some,
    spacing_option,
    tell,
    threshold_option,
    tile_option,
)


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output("Folder or URL for the results.", kind=WHERE)
@model_option()
@device_option()
@click.option(
    "--format", "label_format", default="competition", show_default=True, help=f"Label format of results: {FORMATS}."
)
@looks_option("auto")
@threshold_option()
@tile_option()
@click.option("--fast", is_flag=True, help="One look at each picture, none closer at the wrist, no quality warnings.")
@click.option("--measure", is_flag=True, help="Measure the hands too, as 'ossa measure' does: bones.csv, hands.csv.")
@click.option("--draw", is_flag=True, help="With --measure: draw the measurements, OUT/NAME_measured.png.")
@spacing_option()
@engine_options()
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    output: str | Path,
    model: Path | None,
    device: str,
    label_format: str,
    looks: str,
    thresholds: dict[str, float],
    tile: int | None,
    fast: bool,
    measure: bool,
    draw: bool,
    spacing: tuple[float, float] | None,
    engine: str,
    address: str | None,
    workers: int | None,
) -> None:
    """Find the bones in radiographs.

    PATH is an image (PNG, JPEG, TIFF, BMP, DICOM), a folder that is searched to any depth, a quoted glob pattern, or a
    URL (s3://bucket/films).
    Per image NAME the results are OUT/NAME.json (outlines) and OUT/NAME_overlay.png; OUT/predictions.csv holds the
    run lengths of all. A film with several hands has results for each (NAME_left and NAME_right, or NAME_1, NAME_2).
    A file that cannot be used is reported and skipped.

    Exit codes: 0 all images done; 1 some were skipped, the rest is written; 2 nothing done.
    """
    from ossa.pipeline.ahead import begin_ahead

    begin_ahead(model)
    from ossa.parallel.engines import pool_of
    from ossa.pipeline.asked import asked_predictor
    from ossa.pipeline.measured import numbers_of
    from ossa.pipeline.parts import CSV_NAME
    from ossa.pipeline.predict import predict_with
    from ossa.progress import bar

    outcome = predict_with(
        partial(asked_predictor, model, device, looks, thresholds, fast=fast, tile=tile),
        paths,
        output,
        label_format=label_format,
        numbers=numbers_of(measure, spacing, draw),
        pool=pool_of(engine, address, workers),
        track=bar,
        tell=tell,
    )
    if len(outcome.done) == 1:
        only = outcome.done[0]
        overlays = ", ".join(f"{output}/{result.name}_overlay.png" for result in only.results)
        click.echo(f"{only.bones} bones in {only.film.told} -> {overlays}")
    else:
        click.echo(f"{len(outcome.done)} of {outcome.total} images -> {output}")
    warned = [done.film.image_name for done in outcome.done if done.notes]
    if warned and outcome.total > 1:
        tell(f"{len(warned)} images have warnings (above): {some(warned)}")
    if outcome.interrupted:
        tell(
            f"Interrupted; {CSV_NAME} holds the {len(outcome.done)} images that were done. The same command continues."
        )
        ctx.exit(EXIT_INTERRUPTED)
    if outcome.skipped:
        tell(f"{len(outcome.skipped)} skipped (the reasons are above).")
        ctx.exit(EXIT_SKIPPED)
