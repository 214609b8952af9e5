"""Which studio a request came to."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI, Request

from ossa.pipeline.studio import Desk


def seat(app: FastAPI, desk: Desk) -> None:
    """Let the routes of ``app`` find their studio."""
    app.state.desk = desk


def desk_of(request: Request) -> Desk:
    """The studio that a request came to."""
    return cast(Desk, request.app.state.desk)
