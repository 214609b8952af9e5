"""``ossa report``: parse, call, print."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ossa.cli import EXIT_SKIPPED
from ossa.cli.options import measuring_options, output, tell


@click.command("report")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output("Folder for the pages.")
@click.option("--language", default="en", show_default=True, help="Language of the page: en (English) or ko (한국어).")
@click.option("--pdf", is_flag=True, help="Write each page as a PDF too (ossa[pdf]).")
@click.option("--together", is_flag=True, help="All pictures are of one person: one page for all of them.")
@click.option("--identity", is_flag=True, help="Show who the patient is, as the DICOM file says it.")
@measuring_options
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    output: Path,
    language: str,
    pdf: bool,
    together: bool,
    identity: bool,
    spacing: tuple[float, float] | None,
    known_length: tuple[tuple[float, float], tuple[float, float], float] | None,
    images: Path | None,
    model: Path | None,
    device: str,
    looks: str,
    thresholds: dict[str, float],
    fast: bool,
) -> None:
    """Make a page about a hand, or about both hands of a patient: bones, numbers, warnings, provenance.

    PATH is a radiograph (PNG, JPEG, TIFF, BMP, DICOM), a folder of them, or what holds bones already: a folder of 'ossa
    predict', label files, a data set, a submission CSV. Each picture has a page OUT/NAME.html that needs nothing beside
    it; DICOM files of one patient share a page. The patient's name and number stand there only with --identity.

    For research; not a medical device.

    Exit codes: 0 all done; 1 some pictures were skipped, the rest is written; 2 nothing done.
    """
    from ossa.pipeline.asked import asked_predictor
    from ossa.pipeline.measure import given_spacing
    from ossa.pipeline.report import report
    from ossa.progress import bar

    done = report(
        paths,
        output,
        load=partial(asked_predictor, model, device, looks, thresholds, fast=fast),
        images=images,
        **given_spacing(spacing, known_length),
        language=language,
        pdf=pdf,
        together=together,
        identity=identity,
        track=bar,
        tell=tell,
    )
    shown = str(done.pages[0]) if len(done.pages) == 1 else f"{output}: {len(done.pages)} files"
    click.echo(f"{done.hands} hands in {done.total} pictures -> {shown}")
    if done.skipped:
        tell(f"{len(done.skipped)} skipped (the reasons are above).")
        ctx.exit(EXIT_SKIPPED)
