"""``ossa export``: parse, call, print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ossa.cli import EXIT_SKIPPED
from ossa.cli.options import PATH, Command, output, spacing_option, tell, tell_some


@click.group("export")
def command() -> None:
    """Results as DICOM objects: segmentations, measurement reports, pictures with outlines; send them to an archive.

    RESULTS is a folder of 'ossa predict', a submission CSV, a data set or a folder of label files. Objects lie in the
    radiograph's own study, with its patient. A radiograph that is no DICOM file is wrapped as one first
    (NAME_picture.dcm). For research; not a medical device.
    """


def _archive_options(required: bool, flag: str) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        options = (
            click.option(flag, "archive", required=required, metavar="HOST:PORT", help="The archive, by C-STORE."),
            click.option("--aet", default="ANY-SCP", show_default=True, help="The archive's AE title."),
            click.option("--calling-aet", default="OSSA", show_default=True, help="The AE title that ossa calls with."),
        )
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _as_it_is(command: Command) -> Command:
    return command


def _export(kind: str, text: str) -> click.Command:
    @click.command(kind, help=text)
    @click.argument("results", metavar="RESULTS", type=PATH)
    @click.option("--images", type=PATH, help="Folder with the radiographs, or one radiograph.")
    @output("Folder for the DICOM files.")
    @click.option("--anonymise", is_flag=True, help="Leave the patient out (PS3.15 basic profile), pictures too.")
    @click.option("--drawn", is_flag=True, help="People drew these bones; no algorithm found them.")
    @(spacing_option() if kind == "dicom-sr" else _as_it_is)
    @_archive_options(False, "--send")
    @click.pass_context
    def run(
        context: click.Context,
        results: Path,
        images: Path | None,
        output: Path,
        anonymise: bool,
        drawn: bool,
        archive: str | None,
        aet: str,
        calling_aet: str,
        spacing: tuple[float, float] | None = None,
    ) -> None:
        from ossa.pipeline.export import archive_at, export
        from ossa.pipeline.measure import given_spacing
        from ossa.progress import bar

        to = None if archive is None else archive_at(archive, aet, calling_aet)
        given = given_spacing(spacing, None)["spacing"]
        done = export(
            results, output, kind, images=images, anonymise=anonymise, drawn=drawn, spacing=given, track=bar, tell=tell
        )
        click.echo(f"{len(done.files)} DICOM files for {done.films} radiographs -> {output}")
        tell_some(done.skipped)
        refused = _send(done.files, to) if to is not None else 0
        if done.skipped or refused:
            context.exit(EXIT_SKIPPED)

    return run


def _send(paths: Any, archive: Any) -> int:
    """Send and tell; how many files were refused."""
    from ossa.pipeline.export import send_files
    from ossa.progress import bar

    sent = send_files(paths, archive, track=bar)
    click.echo(f"{len(sent.taken)} files -> {archive}")
    tell_some([f"{path}: {reason}" for path, reason in sent.refused])
    return len(sent.refused)


for _kind, _text in {
    "dicom-seg": "Write the bones of each film as a DICOM Segmentation: OUT/NAME_seg.dcm.",
    "dicom-sr": "Write measurements as a DICOM Structured Report (TID 1500): OUT/NAME_sr.dcm, with the Segmentation.",
    "dicom-sc": "Write the radiograph with outlines as a Secondary Capture: OUT/NAME_sc.dcm.",
}.items():
    command.add_command(_export(_kind, _text))


@command.command("send")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=PATH)
@_archive_options(True, "--to")
@click.pass_context
def send_command(context: click.Context, paths: tuple[Path, ...], archive: str, aet: str, calling_aet: str) -> None:
    """Send DICOM files, or those of folders, to an archive. Nothing is removed: what failed can be sent again."""
    from ossa.pipeline.export import archive_at

    if _send(paths, archive_at(archive, aet, calling_aet)):
        context.exit(EXIT_SKIPPED)
