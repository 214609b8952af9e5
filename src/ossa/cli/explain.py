"""``ossa explain``: parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from ossa.cli.options import PATH, model_option, tell


@click.command("explain")
@click.argument("paths", nargs=-1, metavar="IMAGE...")
@click.option("--bone", "bones", multiple=True, metavar="NAME", help="Bone to explain; give it again for more rows.")
@click.option("-o", "--output", type=PATH, default="explain.png", show_default=True, help="The .png file to write.")
@model_option()
@click.option("--layer", help="Layer of the network.  [default: see --layers]")
@click.option("--layers", "list_layers", is_flag=True, help="List the network's layers instead.")
def command(
    paths: tuple[str, ...],
    bones: tuple[str, ...],
    output: Path,
    model: Path | None,
    layer: str | None,
    list_layers: bool,
) -> None:
    """Show where the network looked to find a bone (Grad-CAM for segmentation), hands side by side.

    Of several bones the first row shows all in one (the maximum of their maps), then each has a row.

    IMAGE is a radiograph, or a folder such as a subject's two hands. Bright: this place made the bone likelier. The
    white line is the bone as it was found. Needs 'ossa[train]'.
    """
    from ossa.pipeline.explain import explain, layer_names
    from ossa.progress import bar

    if list_layers:
        for line in layer_names(model):
            click.echo(line)
        return
    if not paths:
        raise click.UsageError("Missing argument 'IMAGE...'.")
    if not bones:
        raise click.UsageError("Missing option '--bone'.")
    done = explain(paths, bones, output, model=model, layer=layer, track=bar)
    for name, bone in done.unfound:
        tell(f"{name}: {bone} was not found; the map shows what spoke for it most")
    click.echo(f"layer {done.layer} -> {done.path}")
