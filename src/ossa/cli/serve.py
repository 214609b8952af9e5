"""``ossa serve``: parse, call, print."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ossa.cli.options import PATH, device_option, looks_option, model_option, tell


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=int, default=8000, show_default=True, help="Port; 0: any that is free.")
@model_option()
@device_option()
@looks_option("auto")
@click.option("--fast", is_flag=True, help="One look at each picture, none closer at the wrist, no quality warnings.")
@click.option("--token-file", type=PATH, help="File with the token that requests must carry.  [default: $OSSA_TOKEN]")
@click.option("--new-token", is_flag=True, help="Where no token is given, make one and show it.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A name that browsers call the server by.")
@click.option(
    "--data", "folder", type=PATH, help="Folder for batch jobs.  [default: a temporary one, removed at the end]"
)
@click.option("--waiting", type=click.IntRange(1), default=16, show_default=True, help="Pictures that may wait.")
@click.option("--upload-mb", type=click.IntRange(1), default=250, show_default=True, help="Largest request, MB.")
@click.option(
    "--upload-seconds", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Longest upload, seconds."
)
@click.option(
    "--predict-seconds", type=click.FloatRange(1), default=120.0, show_default=True, help="Longest look, seconds."
)
@click.option("--megapixels", type=click.FloatRange(0.01), default=60.0, show_default=True, help="Largest picture.")
def command(
    host: str,
    port: int,
    model: Path | None,
    device: str,
    looks: str,
    fast: bool,
    token_file: Path | None,
    new_token: bool,
    hosts: tuple[str, ...],
    folder: Path | None,
    waiting: int,
    upload_mb: int,
    upload_seconds: float,
    predict_seconds: float,
    megapixels: float,
) -> None:
    """Serve bones over HTTP: POST a radiograph, get outlines, run lengths, DICOM, measurements or a report.

    The server listens on this machine alone (loopback). For any other address it asks for a token in every request.
    /openapi.json describes it.
    """
    from ossa.apps.serve.run import run
    from ossa.apps.serve.settings import Limits, Settings, host_names, read_token
    from ossa.apps.serve.settings import new_token as made

    token = read_token(token_file) if token_file is not None else os.environ.get("OSSA_TOKEN") or None
    if token is None and new_token:
        token = made()
        tell(f"the token: {token}")
    settings = Settings(
        host=host,
        port=port,
        model=model,
        device=device,
        looks=looks,
        fast=fast,
        token=token,
        hosts=host_names(hosts),
        folder=folder,
        limits=Limits(
            upload_bytes=upload_mb * 1_000_000,
            upload_seconds=upload_seconds,
            megapixels=megapixels,
            waiting=waiting,
            predict_seconds=predict_seconds,
        ),
    )
    run(settings, tell=tell)
