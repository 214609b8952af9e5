"""``ossa calibrate``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ossa.cli.options import PATH, schema_option

if TYPE_CHECKING:
    from ossa.schema import BoneSchema


@click.command("calibrate")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=PATH)
@click.option("--data", "dataset", required=True, type=PATH, help="Data set that the run was trained on.")
@schema_option()
def command(runs: tuple[Path, ...], dataset: Path, schema: BoneSchema) -> None:
    """Fit each bone's threshold and clean-up on out-of-fold predictions, and save them in the run's models.

    RUN is the folder of a run of 'ossa train'. Every gain is measured on subjects that the fit had not seen; a bone
    without a gain keeps .5. Of several runs of the same folds, weights per bone are fitted as well. Predictions of
    images that their model trained on are refused.
    """
    from ossa.pipeline.calibrate import calibrate
    from ossa.progress import bar

    done = calibrate(runs, dataset, schema=schema, track=bar)
    found = done.calibration
    heads = f"{'bone':<14}{'at .5':>8}{'threshold':>11}{'Dice':>8}{'clean-up':>18}{'Dice':>8}{'gain':>9}"
    if done.weights is not None:
        heads += f"{'equal':>9}{'weighted':>10}{'gain':>9}"
    click.echo(heads)
    for i, c in enumerate(found.choices):
        rule = ", ".join(f"{k} {v:g}" for k, v in (("part", c.rule.part), ("hole", c.rule.hole)) if v) or "-"
        line = f"{c.bone:<14}{c.plain:8.4f}{c.threshold:11.2f}{c.with_threshold:8.4f}{rule:>18}{c.with_rule:8.4f}"
        line += f"{c.gain:+9.4f}"
        if done.weights is not None:
            equal, weighted = float(done.weights.uniform[i]), float(done.weights.selected[i])
            line += f"{equal:9.4f}{weighted:10.4f}{weighted - equal:+9.4f}"
        click.echo(line)
    plain, threshold, both = found.means()
    click.echo(f"{'mean':<14}{plain:8.4f}{'':11}{threshold:8.4f}{'':18}{both:8.4f}{both - plain:+9.4f}")
    click.echo(f"{found.images} images of {found.subjects} subjects; Dice on subjects that the fit had not seen")
    for bundle in done.bundles:
        click.echo(f"thresholds and clean-up -> {bundle}")
    click.echo(f"everything -> {done.file}")
