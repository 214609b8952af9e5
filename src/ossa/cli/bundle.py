"""``ossa bundle``: parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from ossa.cli.options import PATH, read_size, tell


@click.group("bundle")
def command() -> None:
    """Models as files."""


@command.command("export")
@click.argument("model", required=False, type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="Folder for the files.")
@click.option("--static", multiple=True, metavar="HxW", help="Also a file for one fixed size; repeat it.")
@click.option("--int8", is_flag=True, help="Also an 8-bit file, calibrated on the images.")
@click.option("--openvino", is_flag=True, help="Also OpenVINO's format.")
@click.option("--image", "images", multiple=True, type=PATH, help="Compare on this; repeat it.  [default: phantoms]")
def export_command(
    model: Path | None,
    output: Path,
    static: tuple[str, ...],
    int8: bool,
    openvino: bool,
    images: tuple[Path, ...],
) -> None:
    """Write MODEL (a bundle, or a packed model; default the shipped one) for other runtimes, with a table of parity.

    The table (OUT/parity.txt, parity.json) says for every file how far its logits and its bones are from the
    bundle's network. Preparation and thresholds are inside every ONNX file (metadata "ossa.card") and in card.json.
    """
    from ossa.pipeline.bundle import export_bundle

    exported = export_bundle(
        model,
        output,
        static=[read_size(text) for text in static],
        eight_bit=int8,
        openvino=openvino,
        images=images,
        tell=tell,
    )
    click.echo(exported.to_text(), nl=False)
    click.echo(f"-> {output}")


@command.command("pack")
@click.argument("models", nargs=-1, type=PATH, metavar="[MODEL]...")
@click.option("-o", "--output", required=True, type=PATH, help="The file to write (.ossa).")
def pack_command(models: tuple[Path, ...], output: Path) -> None:
    """Write MODEL as one file to pass on, which every --model takes.

    MODEL is a bundle or a run, whose folds stay together as an ensemble; default the shipped model. The file holds
    nothing but the bundles' own files, uncompressed, each with its hash.
    """
    from ossa.pipeline.bundle import pack_models

    names = pack_models(models, output)
    click.echo(f"{', '.join(names)} -> {output} ({output.stat().st_size / 1e6:.1f} MB)")
