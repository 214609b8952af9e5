"""The services under test as programs of their own: all of ``ossa serve`` and ``ossa node start`` but a large network.

The predictor sits in the server's own process, so that a round does not read every library anew.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path


def server(folder: str, port: str, model: str) -> None:
    """``ossa serve --data FOLDER --port PORT --model MODEL --fast``."""
    from ossa.apps.serve.app import create_app, load_predictor
    from ossa.apps.serve.run import _serve, listen
    from ossa.apps.serve.seats import LocalSeat
    from ossa.apps.serve.settings import Settings
    from ossa.apps.serve.worker import Worker

    settings = Settings(folder=Path(folder), port=int(port), model=Path(model), device="cpu", fast=True)
    app = create_app(settings, (), Worker(partial(load_predictor, settings), hire=LocalSeat))
    with listen(settings) as listening, app.running():
        _serve(app, listening)


def node(folder: str, port: str, peer: str, model: str) -> None:
    """``ossa node start FOLDER --to PACS@127.0.0.1:PEER --port PORT --allow MODALITY --model MODEL``, unjudged."""
    from ossa.apps.node import Door, serve
    from ossa.pipeline.answer import answer, maker_of
    from ossa.pipeline.asked import fast_predictor
    from ossa.pipeline.node import Node, peers_of
    from ossa.pipeline.node_queue import NodeQueue

    predictor = fast_predictor(model, "cpu")
    queue = NodeQueue(folder, "OSSA")
    try:
        peers = peers_of((f"PACS@127.0.0.1:{peer}",), (), "OSSA", None)
        here = Node(queue, lambda path: answer(path, predictor), maker_of(predictor), peers, print)
        serve(here, Door("OSSA", port=int(port), callers=frozenset({"MODALITY"})))
    finally:
        queue.close()
