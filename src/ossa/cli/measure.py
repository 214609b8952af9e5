"""``ossa measure``: parse, call, print."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ossa.cli import EXIT_SKIPPED
from ossa.cli.options import WHERE, engine_options, measuring_options, output, tell


@click.command("measure")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output("Folder or URL for the numbers.", kind=WHERE)
@click.option("--draw", is_flag=True, help="Draw every measurement on its radiograph: OUT/NAME_measured.png.")
@measuring_options
@engine_options()
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    output: str | Path,
    spacing: tuple[float, float] | None,
    known_length: tuple[tuple[float, float], tuple[float, float], float] | None,
    draw: bool,
    images: Path | None,
    model: Path | None,
    device: str,
    looks: str,
    thresholds: dict[str, float],
    fast: bool,
    engine: str,
    address: str | None,
    workers: int | None,
) -> None:
    """Measure the bones of hands: lengths, widths, angles and indices, each with its uncertainty.

    PATH is a radiograph (PNG, JPEG, TIFF, BMP, DICOM), a folder or a URL (s3://bucket/films) of them, or what holds
    bones already: a data set with labels, a folder of label files or of 'ossa predict', saved probabilities, a
    submission CSV. OUT/bones.csv has a row per bone, OUT/hands.csv a row per hand, OUT/left_right.csv the differences
    where both hands of a person are there, OUT/NAME_measurements.json everything. Lengths are in mm where the spacing
    is known, and every row says whence; otherwise they are in px. A number that cannot be had gives its reason.

    For research; not a medical device. docs/measurements.md defines every number.

    Exit codes: 0 all done; 1 some files were skipped, the rest is written; 2 nothing done.
    """
    from ossa.parallel.engines import pool_of
    from ossa.pipeline.asked import asked_predictor
    from ossa.pipeline.measure import given_spacing, measure
    from ossa.progress import bar

    done = measure(
        paths,
        output,
        load=partial(asked_predictor, model, device, looks, thresholds, fast=fast),
        images=images,
        **given_spacing(spacing, known_length),
        draw=draw,
        pool=pool_of(engine, address, workers),
        track=bar,
        tell=tell,
    )
    if len(done.hands) == 1:
        only = done.hands[0]
        for one in only:
            click.echo(str(one))
        click.echo(f"Spacing: {only.spacing_source}")
    for hand in done.hands:
        if hand.notes:
            tell(f"{hand.name}: {'; '.join(hand.notes)}")
    pairs = f", left_right.csv ({done.compared} pairs)" if done.compared else ""
    count = f"{len(done.hands)} hand{'s' * (len(done.hands) > 1)} in {done.total} picture{'s' * (done.total > 1)}"
    click.echo(f"{count} -> {output}: bones.csv, hands.csv{pairs}")
    if done.skipped:
        tell(f"{len(done.skipped)} skipped (the reasons are above).")
        ctx.exit(EXIT_SKIPPED)
