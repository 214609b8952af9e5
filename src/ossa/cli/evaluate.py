"""``ossa evaluate``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("evaluate")
@click.argument("prediction", metavar="PRED", type=click.Path(path_type=Path))
@click.argument("truth", metavar="TRUTH", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder for the report, its tables and the run lengths."
)
@click.option(
    "--images", type=click.Path(path_type=Path), help="Folder of the pictures, where neither side knows them."
)
@click.option("--schema", "schema_name", default="hand29", show_default=True, help="Bone schema (name or .toml file).")
@click.option("--tolerance", type=float, default=2.0, show_default=True, help="Tolerance of surface Dice, in px.")
@click.option("--worst", type=int, default=24, show_default=True, help="How many of the worst cases the report shows.")
def command(
    prediction: Path,
    truth: Path,
    output: Path | None,
    images: Path | None,
    schema_name: str,
    tolerance: float,
    worst: int,
) -> None:
    """Compare predictions with the truth, bone by bone.

    PRED and TRUTH are a submission CSV, the output folder of 'ossa predict', saved probabilities (scored at several
    thresholds), a folder of label files or a data set folder. With -o a page with confidence intervals and the worst
    cases is written, and per_bone.csv, scores.csv, figures.json and predictions.csv beside it.
    """
    from ossa.pipeline.evaluate import evaluate
    from ossa.progress import bar
    from ossa.schema import load_schema

    schema = load_schema(schema_name)
    evaluation = evaluate(
        prediction,
        truth,
        output=output,
        images=images,
        schema=schema,
        tolerance=tolerance,
        worst=worst,
        track=bar,
    )
    for line in table(evaluation.summary):
        click.echo(line)
    if evaluation.thresholds is not None:
        means = evaluation.thresholds.dice.mean(axis=1).tolist()
        at = ", ".join(f"{t:g}: {m:.4f}" for t, m in zip(evaluation.thresholds.thresholds, means, strict=True))
        click.echo(f"mean Dice at threshold {at}")
    if len(evaluation.dice) <= 20:
        for name, dice in evaluation.dice.items():
            click.echo(f"{name}: Dice {dice:.4f}")
    _tell(evaluation.missing, "labelled pictures have no prediction and are left out")
    _tell(evaluation.unknown, "predictions are of pictures without a label and are left out")
    if evaluation.page is not None:
        click.echo(f"report -> {evaluation.page}")


def _tell(names: tuple[str, ...], what: str) -> None:
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        click.echo(f"{len(names)} {what}: {shown}", err=True)


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
