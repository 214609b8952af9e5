"""``ossa data``: parse, call, print."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ossa.cli import EXIT_SKIPPED
from ossa.cli.options import (
    FORMATS,
    PATH,
    dataset_options,
    engine_options,
    output,
    scale_labels_option,
    some,
    tell,
    tell_some,
)

if TYPE_CHECKING:
    from ossa.schema import BoneSchema


@click.group("data")
def command() -> None:
    """Look at a data set: count it, check its labels, deal out folds, see what a network is shown.

    DATASET is a folder in the layout of the competition, RAM-H1200 or another COCO set, RAM-W600, nnU-Net, labelme,
    CVAT, YOLO, of masks or bit planes beside pictures, or of pictures with label files beside them.
    """


@command.command()
@dataset_options
def summary(dataset: Path, schema: BoneSchema, names: Path | None) -> None:
    """Count pictures, subjects, sides, bent wrists and bones."""
    from ossa.pipeline.data import summarise
    from ossa.progress import bar

    found = summarise(dataset, schema, track=bar, names=names)
    for what, value in found.rows:
        click.echo(f"{what:10}{value}")
    click.echo()
    for name, title, count, area in found.bones:
        click.echo(f"{name:14}{title:32}{count:6}" + (f"{area:12,.0f} px" if area is not None else ""))
    tell_some(found.problems)


@command.command()
@dataset_options
@output("Write a page, the numbers and the proposed run file into this folder.", required=False)
@click.option("--minutes", type=click.FloatRange(min=0.1), help="Plan a training that takes so long per fold.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes (default: one per core, at most 8).")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def info(
    dataset: Path,
    schema: BoneSchema,
    names: Path | None,
    output: Path | None,
    minutes: float | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Measure a data set whole, and propose a training on this machine, each setting with its reason."""
    from ossa.pipeline.data_info import PAGE, data_info
    from ossa.progress import bar

    found = data_info(dataset, output, schema=schema, names=names, budget_minutes=minutes, workers=workers, track=bar)
    if as_json:
        click.echo(found.to_json())
    else:
        for what, value in found.rows():
            click.echo(f"{what:22}{value}")
        click.echo()
        for line in found.plan.lines if found.plan is not None else ():
            click.echo(f"{line.key:21} {line.told:34} {line.reason}")
    for warning in (found.why_no_plan, *(found.plan.warnings if found.plan is not None else ())):
        if warning:
            tell(warning)
    tell_some(found.fingerprint.problems)
    if output is not None:
        tell(output / PAGE)


@command.command()
@dataset_options
@output("Write all findings to this .csv or .json file.", required=False)
@click.option("--workers", type=click.IntRange(min=1), help="Processes (default: one per core, at most 8).")
@engine_options(workers=False)
@click.pass_context
def audit(
    context: click.Context,
    dataset: Path,
    schema: BoneSchema,
    names: Path | None,
    output: Path | None,
    workers: int | None,
    engine: str,
    address: str | None,
) -> None:
    """Find label errors: exchanged bones, rings, missing bones, wrong pictures, duplicates.

    Findings are reasons to look, not verdicts. The exit code is 1 when there are any.
    """
    from ossa.parallel.engines import pool_of
    from ossa.pipeline.data import audit_dataset
    from ossa.progress import bar

    pool = None if engine == "local" and address is None else pool_of(engine, address, workers)
    found = audit_dataset(dataset, output, schema=schema, workers=workers, pool=pool, track=bar, names=names)
    for finding in found.findings:
        click.echo(str(finding))
    kinds = Counter(finding.kind for finding in found.findings)
    click.echo(
        f"{found.checked} pictures checked, {len(found.cases)} to look at"
        + (": " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())) if kinds else ""),
        err=True,
    )
    if found.findings:
        context.exit(EXIT_SKIPPED)


@command.command()
@dataset_options
@output("The .json file to write once.")
@click.option("-n", "--count", type=int, default=5, show_default=True, help="Number of folds.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Order among equal subjects; as folds.seed of a run."
)
@click.option(
    "--import",
    "imported",
    metavar="SPLIT",
    help="Take somebody's split: a .json or .csv of subjects (or pictures) and folds, or GroupKFold(5).",
)
def folds(
    dataset: Path, schema: BoneSchema, names: Path | None, output: Path, count: int, seed: int, imported: str | None
) -> None:
    """Deal subjects out to folds, even over wrist angles and sides; written once, with a hash."""
    from ossa.pipeline.data import make_folds_file
    from ossa.progress import bar

    made = make_folds_file(dataset, output, count, seed=seed, schema=schema, track=bar, names=names, imported=imported)
    click.echo(f"{'':14}" + "".join(f"{f'fold {k}':>8}" for k in range(len(made.table["all"]))))
    for name, row in made.table.items():
        click.echo(f"{name:14}" + "".join(f"{n:8}" for n in row))
    if made.strangers:
        tell(f"{len(made.strangers)} names of {imported} are of nothing labelled here: {some(made.strangers)}")
    click.echo(f"{output}: hash {made.hash[:12]}")


@command.command()
@dataset_options
@output("The .png file to write.")
@click.option("-n", "--count", type=int, default=12, show_default=True, help="Number of samples.")
@click.option("--columns", type=int, default=4, show_default=True, help="Samples per row.")
@click.option("--size", type=int, default=384, show_default=True, help="Training size, px.")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the samples.")
@click.option("-s", "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change an augmentation setting.")
@click.pass_context
def sheet(
    context: click.Context,
    dataset: Path,
    schema: BoneSchema,
    names: Path | None,
    output: Path,
    count: int,
    columns: int,
    size: int,
    seed: int,
    settings: tuple[str, ...],
) -> None:
    """Draw augmented training samples with their truth on one contact sheet."""
    from ossa.pipeline.data import write_contact_sheet

    shown, skipped = write_contact_sheet(
        dataset,
        output,
        size=size,
        count=count,
        columns=columns,
        seed=seed,
        settings=settings,
        schema=schema,
        names=names,
    )
    click.echo(f"{output}: {shown} samples")
    tell_some(skipped)
    if skipped:
        context.exit(EXIT_SKIPPED)


@command.command()
@click.argument("run", metavar="RUN", type=PATH)
@click.argument("number", metavar="NUMBER", type=click.IntRange(min=0))
@output("The .png file to write.")
@click.option("--fold", type=int, default=0, show_default=True, help="Fold of the run.")
@click.option("--process", "rank", type=int, default=0, show_default=True, help="Process of a run on several devices.")
@click.option("--columns", type=click.IntRange(min=1), default=4, show_default=True, help="Samples per row.")
def batch(run: Path, number: int, output: Path, fold: int, rank: int, columns: int) -> None:
    """Draw a batch of a training run again, by its number (from 0, counted since its fold began).

    RUN is a run folder. "The loss is not a number in batch 1234" names such a number.
    """
    from ossa.pipeline.replay import write_batch_sheet

    for name in write_batch_sheet(run, number, output, fold=fold, rank=rank, columns=columns):
        click.echo(name)


@command.command()
@dataset_options
@output("The folder to write into.")
@click.option("--to", required=True, metavar="FORMAT", help=f"Label format: {FORMATS}.")
@click.option(
    "--pictures",
    type=click.Choice(["copy", "link", "none"]),
    default="copy",
    show_default=True,
    help="Copy the pictures beside the labels, link them, or have labels name them where they lie.",
)
@scale_labels_option()
@click.pass_context
def convert(
    context: click.Context,
    dataset: Path,
    schema: BoneSchema,
    output: Path,
    to: str,
    pictures: str,
    names: Path | None,
    scale_labels: bool,
) -> None:
    """Write the labels of a data set in another format.

    A bone that nobody judged in a picture stays "not judged". Subjects keep folders of their own.
    """
    from ossa.pipeline.convert import convert as convert_labels
    from ossa.progress import bar

    found = convert_labels(
        dataset,
        output,
        to,
        pictures=pictures,
        names=names,
        scale_labels=scale_labels,
        schema=schema,
        track=bar,
    )
    click.echo(f"{output}: {found.written} labels")
    tell_some(found.skipped)
    tell_some(found.left_out)
    if found.remark:
        tell(found.remark)
    if found.skipped:
        context.exit(EXIT_SKIPPED)
