"""Runs a service: takes the port, loads the model, answers until it is told to stop."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from ossa.apps.serve.settings import Settings, is_loopback
from ossa.errors import ConfigError, MissingExtraError

#: After SIGTERM or Ctrl-C what is begun has so many seconds to be finished.
GRACE = 30


def run(settings: Settings, parts: Sequence[object] = (), tell: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or Ctrl-C. ``parts`` as ``create_app`` takes them; ``tell`` hears where the server is.

    The port is taken and the model loaded before the first request is let in. Raises ConfigError for a port that is in
    use or not allowed, MissingExtraError without FastAPI, and what loading the model raises.
    """
    require()
    listening = listen(settings)
    try:
        from ossa.apps.serve.app import create_app
        from ossa.apps.serve.service import Part

        settings = replace(settings, port=listening.getsockname()[1])
        given: list[Part] = [part for part in parts if callable(part)]
        app = create_app(settings, given)
        with app.running():
            tell(f"ossa listens at {settings.address} (Ctrl-C stops it)")
            if not is_loopback(settings.host):
                tell("other machines reach it: nothing is encrypted, so put a proxy with TLS before it")
            _serve(app, listening)
    finally:
        listening.close()


def require() -> None:
    """Raise MissingExtraError where a server cannot run."""
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("serving", "serve", error) from error


def listen(settings: Settings) -> socket.socket:
    """A socket that listens where ``settings`` say. Raises ConfigError in clear words."""
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        out = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            "there is no such address",
            found=f"--host {settings.host}",
            expected="a name or an IP address of this machine",
        ) from error
    try:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.bind(address)
        out.listen(128)
    except OSError as error:
        out.close()
        where = f"{settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                "the port is in use", found=where, remedy="Give another one (--port 8001), or 0 for any that is free"
            ) from error
        if error.errno == errno.EACCES:
            raise ConfigError("this port is not for everybody", found=where, expected="1024 or higher") from error
        raise ConfigError(
            "cannot listen there", found=f"{where}: {error.strerror or error}", expected="an address of this machine"
        ) from error
    out.set_inheritable(False)
    return out


def _serve(app: object, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=15,
    )
    # uvicorn ends as it was told to and then gives the signal on: to end so is what was asked, not a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    hangup = getattr(signal, "SIGHUP", None)  # the terminal was closed; ignored under nohup
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        signal.signal(hangup, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))
    uvicorn.Server(config).run(sockets=[listening])
