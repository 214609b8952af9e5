"""``ossa evaluate``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ossa.cli.options import (
    PATH,
    names_option,
    output,
    scale_labels_option,
    schema_option,
    size_option,
    some,
    tell,
    thresholds_option,
)

if TYPE_CHECKING:
    from ossa.schema import BoneSchema


@click.command("evaluate")
@click.argument("prediction", metavar="PRED", type=PATH)
@click.argument("truth", metavar="TRUTH", type=PATH)
@output("Folder for the page, its tables and the run lengths.", required=False)
@click.option("--images", type=PATH, help="Folder of the pictures, where neither side knows them.")
@size_option("Size of all pictures, where neither labels nor pictures say it.")
@names_option()
@scale_labels_option()
@schema_option()
@click.option("--tolerance", type=float, default=2.0, show_default=True, help="Tolerance of surface Dice, in px.")
@thresholds_option("figures at .5, and a table of others")
@click.option("--worst", type=int, default=24, show_default=True, help="How many of the worst cases the page shows.")
@click.pass_context
def command(
    context: click.Context,
    prediction: Path,
    truth: Path,
    output: Path | None,
    images: Path | None,
    size: tuple[int, int] | None,
    names: Path | None,
    scale_labels: bool,
    schema: BoneSchema,
    tolerance: float,
    thresholds: list[dict[str, float]],
    worst: int,
) -> None:
    """Compare predictions with the truth, bone by bone.

    PRED and TRUTH are a submission CSV, the output folder of 'ossa predict', saved probabilities (scored at several
    thresholds), a folder of label files or a data set folder. With -o a page with confidence intervals and the worst
    cases is written, and per_bone.csv, scores.csv, figures.json and predictions.csv beside it. A picture that cannot be
    compared is told and left out; the exit code is then 1.
    """
    from ossa.cli import EXIT_SKIPPED
    from ossa.pipeline.evaluate import evaluate
    from ossa.progress import bar

    evaluation = evaluate(
        prediction,
        truth,
        output=output,
        images=images,
        size=size,
        names=names,
        scale_labels=scale_labels,
        schema=schema,
        tolerance=tolerance,
        worst=worst,
        thresholds=thresholds,
        track=bar,
    )
    for line in table(evaluation.summary):
        click.echo(line)
    if evaluation.thresholds is not None:
        means = evaluation.thresholds.means.tolist()
        at = ", ".join(f"{t:g}: {m:.4f}" for t, m in zip(evaluation.thresholds.thresholds, means, strict=True))
        click.echo(f"mean Dice at threshold {at}")
    if len(evaluation.dice) <= 20:
        for name, dice in evaluation.dice.items():
            click.echo(f"{name}: Dice {dice:.4f}")
    for names_of, what in (
        (evaluation.missing, "labelled pictures have no prediction and are left out"),
        (evaluation.unknown, "predictions are of pictures without a label and are left out"),
        (evaluation.unjudged, "labelled pictures have no outline and are not scored"),
    ):
        if names_of:
            tell(f"{len(names_of)} {what}: {some(names_of)}")
    for sentence in (*evaluation.warnings, *evaluation.failed):
        tell(sentence)
    if evaluation.page is not None:
        click.echo(f"evaluation -> {evaluation.page}")
    if evaluation.failed:
        context.exit(EXIT_SKIPPED)


def table(summary: Any) -> list[str]:
    """The per-bone table of a ``segmentation.compare.Summary`` as lines of text, the means last."""
    unit = summary.unit
    heads = ("bone", "Dice", "IoU", f"NSD {summary.tolerance:g} {unit}", f"HD95 {unit}", f"ASSD {unit}", "overlap Dice")
    keys = ("dice", "iou", "surface_dice", "hd95", "assd", "overlap_dice")
    titles = {bone.name: bone.title for bone in summary.schema.bones}
    rows = [
        (f"{row['bone']} ({titles[str(row['bone'])]})", *(_number(row[key]) for key in keys), _counts(row))
        for row in summary.rows()
    ]
    means = summary.means()
    rows.append((f"mean of {summary.images} images", *(_number(means[key]) for key in keys), ""))
    lines = [(*heads, ""), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return [
        (line[0].ljust(widths[0]) + "".join(f"  {cell:>{w}}" for cell, w in zip(line[1:-1], widths[1:], strict=True)))
        + ("  " + line[-1] if line[-1] else "")
        for line in lines
    ]


def _number(value: object) -> str:
    number = float(str(value))
    return "-" if number != number else f"{number:.4f}" if abs(number) < 10 else f"{number:.2f}"


def _counts(row: dict[str, object]) -> str:
    return ", ".join(f"{row[key]} {key}" for key in ("missed", "extra") if row[key])
