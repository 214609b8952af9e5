"""``ossa predict``: parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from ossa.cli import EXIT_INTERRUPTED, EXIT_SKIPPED


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--model", type=click.Path(path_type=Path), help="Folder of a model bundle.  [default: the shipped one]")
@click.option(
    "--device", default="auto", show_default=True, help="Where the network runs: auto, cpu, cuda, cuda:1, ..."
)
@click.option(
    "--format", "label_format", default="competition", show_default=True, help="Label format of OUT/NAME.json."
)
@click.option(
    "--tta",
    "looks",
    default="flip",
    show_default=True,
    help="Test-time augmentation: none, flip, scale:0.9:1, rotate:-5:0:5, or several with commas.",
)
@click.option("--fast", is_flag=True, help="One look at each picture, none closer at the wrist, no quality warnings.")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    output: Path,
    model: Path | None,
    device: str,
    label_format: str,
    looks: str,
    fast: bool,
) -> None:
    """Find the bones in radiographs.

    PATH is an image (PNG, JPEG, TIFF, BMP, DICOM), a folder that is searched to any depth, or a quoted glob pattern.
    Per image NAME the results are OUT/NAME.json (outlines) and OUT/NAME_overlay.png; OUT/predictions.csv holds the
    run lengths of all. A file that cannot be used is reported and skipped.

    Exit codes: 0 all images done; 1 some were skipped, the rest is written; 2 nothing done.
    """
    from ossa.pipeline.predict import CSV_NAME, fast_predictor, predict_with, usual_predictor
    from ossa.progress import bar

    outcome = predict_with(
        (lambda: fast_predictor(model, device)) if fast else (lambda: usual_predictor(model, device, looks)),
        paths,
        output,
        label_format=label_format,
        track=bar,
        tell=lambda sentence: click.echo(sentence, err=True),
    )
    if len(outcome.done) == 1:
        only = outcome.done[0]
        click.echo(f"{only.bones} bones in {only.source.path} -> {output / only.source.name}_overlay.png")
    else:
        click.echo(f"{len(outcome.done)} of {outcome.total} images -> {output}")
    if outcome.interrupted:
        click.echo(
            f"Interrupted; {CSV_NAME} holds the {len(outcome.done)} images that were done. The same command continues.",
            err=True,
        )
        ctx.exit(EXIT_INTERRUPTED)
    if outcome.skipped:
        click.echo(f"{len(outcome.skipped)} skipped (the reasons are above).", err=True)
        ctx.exit(EXIT_SKIPPED)
