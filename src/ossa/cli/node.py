"""``ossa node``: parse, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from ossa.cli.options import PATH, device_option, model_option, tell

QUEUE = click.argument("queue", metavar="QUEUE", type=PATH)


@click.group("node")
def command() -> None:
    """A DICOM node: radiographs come in by C-STORE, segmentations and reports of measurements go back.

    QUEUE is a folder on the disk that holds what has come in and what is to be sent, for as long as it takes. For
    research; not a medical device.
    """


@command.command("start")
@QUEUE
@click.option(
    "--to", multiple=True, metavar="AE@HOST:PORT", help="A peer that gets the answers, by C-STORE; repeat it."
)
@click.option("--stow", multiple=True, metavar="URL", help="A DICOMweb root that gets them, by STOW-RS; repeat it.")
@click.option("--to-tls", multiple=True, metavar="AE@HOST:PORT", help="A peer by C-STORE, encrypted; repeat it.")
@click.option("--tls", is_flag=True, help="Listen encrypted; needs --tls-certificate.")
@click.option("--tls-certificate", type=PATH, help="The node's own certificate (PEM).")
@click.option("--tls-key", type=PATH, help="Its key, where that is in a file of its own (PEM).")
@click.option(
    "--tls-trust",
    type=PATH,
    help="Whose certificates are trusted (PEM): of peers, and with --tls callers must have one too.",
)
@click.option("--aet", default="OSSA", show_default=True, help="The node's own AE title.")
@click.option("--port", default=11112, show_default=True, help="The port to listen at; 0 for a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at; 0.0.0.0 for all.")
@click.option("--allow", multiple=True, metavar="AE", help="Who may call, beside the peers of --to; repeat it.")
@click.option("--allow-any", is_flag=True, help="Anybody may call.")
@click.option("--secondary-capture", is_flag=True, help="Take Secondary Captures too, beside CR and DX.")
@click.option("--keep", is_flag=True, help="Leave pictures and answers in QUEUE when they are done.")
@model_option()
@device_option()
def start(
    queue: Path,
    to: tuple[str, ...],
    stow: tuple[str, ...],
    to_tls: tuple[str, ...],
    tls: bool,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_trust: Path | None,
    aet: str,
    port: int,
    host: str,
    allow: tuple[str, ...],
    allow_any: bool,
    secondary_capture: bool,
    keep: bool,
    model: Path | None,
    device: str,
) -> None:
    """Take CR and DX radiographs and answer each with a Segmentation and a Structured Report.

    SIGTERM ends it when the picture in hand is done; 'ossa node start' with the same QUEUE goes on, also after a power
    cut. A token for --stow is read from OSSA_STOW_TOKEN. One line for each event goes to standard error: identifiers,
    no names.
    """
    import os

    from ossa.apps.node import Door, run
    from ossa.pipeline.node import Tls

    callers = None if allow_any else frozenset((*allow, *(peer.rpartition("@")[0] for peer in (*to, *to_tls))) or ())
    files = Tls(tls_certificate, tls_key, tls_trust)
    run(
        queue,
        Door(aet, host, port, callers, secondary_capture, files if tls else None),
        to=to,
        to_tls=to_tls,
        tls=files,
        stow=stow,
        token=os.environ.get("OSSA_STOW_TOKEN"),
        model=model,
        device=device,
        keep=keep,
        tell=tell,
    )


@command.command("status")
@QUEUE
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(queue: Path, as_json: bool) -> None:
    """Show what waits, for whom, and what could not be answered and why; also while the node is running."""
    import json

    from ossa.pipeline.node_queue import status_of, told

    found = status_of(queue)
    for line in [json.dumps(found, indent=1)] if as_json else told(found):
        click.echo(line)
