"""``ossa evaluate``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ossa.segmentation.compare import Summary


@click.command("evaluate")
@click.argument("prediction", metavar="PRED", type=click.Path(path_type=Path))
@click.argument("truth", metavar="TRUTH", type=click.Path(path_type=Path))
@click.option("--tolerance", type=float, default=2.0, show_default=True, help="Tolerance of surface Dice, in px.")
def command(prediction: Path, truth: Path, tolerance: float) -> None:
    """Compare predictions with the truth, bone by bone.

    PRED is a submission CSV, the output folder of ossa predict or a folder of label files; TRUTH a data set folder.
    """
    from ossa.pipeline.evaluate import evaluate
    from ossa.progress import bar

    evaluation = evaluate(prediction, truth, tolerance=tolerance, track=bar)
    for line in table(evaluation.summary):
        click.echo(line)
    if len(evaluation.dice) <= 20:
        for name, dice in evaluation.dice.items():
            click.echo(f"{name}: Dice {dice:.4f}")
    if evaluation.missing:
        shown = ", ".join(evaluation.missing[:5]) + (", ..." if len(evaluation.missing) > 5 else "")
        click.echo(
            f"{len(evaluation.missing)} labelled pictures have no prediction and are left out: {shown}", err=True
        )


def table(summary: Summary) -> list[str]:
    """The per-bone table as lines of text, the means last."""
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
