"""``ossa studio``: parse, call, print."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ossa.cli.options import PATH, device_option, looks_option, model_option, names_option, tell


@click.command("studio")
@click.argument("root", required=False, type=PATH)
@model_option()
@click.option("--csv", "csvs", multiple=True, type=PATH, help="A submission to look at; repeat it.")
@click.option("--predictions", multiple=True, type=PATH, help="A folder of results to look at; repeat it.")
@click.option("--images", type=PATH, help="Folder of the pictures, where ROOT does not have them.")
@click.option("--folds", type=PATH, help="A folds file of 'ossa train', to filter by fold.")
@names_option()
@click.option("-o", "--output", type=PATH, help="Where corrections are kept.  [default: ROOT-studio, beside ROOT]")
@click.option("--read-only", is_flag=True, help="Look only: nothing is saved, no folder is made.")
@click.option("--write-back", is_flag=True, help="Let the page put corrections into ROOT's own label files.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@device_option()
@looks_option("auto")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=int, default=0, help="Port.  [default: any that is free]")
@click.option("--token-file", type=PATH, help="File with the token that requests must carry.  [default: $OSSA_TOKEN]")
@click.option("--new-token", is_flag=True, help="Where no token is given, make one and show it.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A name that browsers call the server by.")
def command(
    root: Path | None,
    model: Path | None,
    csvs: tuple[Path, ...],
    predictions: tuple[Path, ...],
    images: Path | None,
    folds: Path | None,
    names: Path | None,
    output: Path | None,
    read_only: bool,
    write_back: bool,
    no_browser: bool,
    device: str,
    looks: str,
    host: str,
    port: int,
    token_file: Path | None,
    new_token: bool,
    hosts: tuple[str, ...],
) -> None:
    """Browse, correct and retrain on a page of this machine.

    ROOT is a data set or a folder of radiographs; without it, drop pictures on the page. What you correct is saved in
    a folder beside ROOT with its history; ROOT itself is never written to, unless --write-back is given and the page
    is asked to: the files are kept as they were. The page is reached from this machine alone; any other --host needs
    a token.

    For research; not a medical device.
    """
    from ossa.apps.serve.run import require

    require()
    from ossa.apps.serve.run import run
    from ossa.apps.serve.settings import Settings, host_names, read_token
    from ossa.apps.serve.settings import new_token as made
    from ossa.apps.studio.app import studio_part
    from ossa.pipeline.studio import open_studio

    token = read_token(token_file) if token_file is not None else os.environ.get("OSSA_TOKEN") or None
    if token is None and new_token:
        token = made()
    settings = Settings(
        host=host, port=port, model=model, device=device, looks=looks, token=token, hosts=host_names(hosts)
    )
    with open_studio(
        root,
        predictions=predictions,
        csvs=csvs,
        images=images,
        folds=folds,
        names=names,
        model=model,
        output=output,
        read_only=read_only,
        write_back=write_back,
    ) as desk:
        kept = "nothing is kept" if read_only else f"corrections are kept in {desk.studio.folder}"
        tell(f"{len(desk.studio.pictures)} pictures; {kept}")
        run(settings, [studio_part(desk, browser=not no_browser, tell=tell)])
