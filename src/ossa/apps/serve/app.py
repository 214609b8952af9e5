"""The server, put together: ``create_app(settings, parts=[...])``.

A part is a function that gets the ``Service`` and adds routers to it: so the studio is mounted on the same server.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ossa.apps.serve import answers, health, jobs, metrics, predict
from ossa.apps.serve.service import Part, Service
from ossa.apps.serve.settings import Settings
from ossa.apps.serve.worker import Worker


def load_predictor(settings: Settings) -> Any:
    """The predictor that ``settings`` ask for, as ``ossa predict`` loads it."""
    from ossa.pipeline.asked import asked_predictor

    return asked_predictor(settings.model, settings.device, settings.looks, {}, fast=settings.fast)


def create_app(settings: Settings | None = None, parts: Sequence[Part] = (), worker: Worker | None = None) -> Service:
    """The server that ``settings`` describe, with the routers of ``parts`` beside its own.

    ``worker``: None for one that loads the model of the settings in a process of its own when the server starts; a
    worker that was started before is used as it is, and closed with the server.

    >>> from ossa.apps.serve.app import create_app
    >>> app = create_app()
    >>> "/health" in app.openapi()["paths"]
    True
    """
    given = settings or Settings()
    if worker is None:
        limits = given.limits
        worker = Worker(partial(load_predictor, given), waiting=limits.waiting, seconds=limits.predict_seconds)
    service = Service(given, worker)
    answers.install(service)
    for part in (metrics.add, health.add, predict.add, jobs.add, *parts):
        part(service)
    return service
