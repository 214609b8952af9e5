"""What a server is told when it starts: where it listens, which model it asks, who may ask it, and how much."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from ossa.errors import ConfigError

#: Fewest characters of a token: 128 bits in URL-safe base64 have 22.
SHORTEST_TOKEN = 20

#: Names under which a browser on this machine calls a server that listens on loopback.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Limits:
    """How much one request, and all together, may take.

    ``requests`` with a body are taken at once; ``upload_bytes`` and ``upload_seconds`` of a request's body,
    ``megapixels`` of a picture; ``waiting`` pictures wait for the model at most, of which each may keep it for
    ``predict_seconds``; ``job_files`` of ``job_bytes`` a batch job within ``job_seconds``, ``jobs`` that are not
    finished, ``stored_jobs`` that are kept. Sizes of bodies in bytes, times in seconds.
    """

    requests: int = 64
    upload_bytes: int = 250_000_000
    upload_seconds: float = 60.0
    megapixels: float = 60.0
    waiting: int = 16
    predict_seconds: float = 120.0
    job_files: int = 1000
    job_bytes: int = 4_000_000_000
    job_seconds: float = 600.0
    jobs: int = 100
    stored_jobs: int = 1000


@dataclass(frozen=True)
class Settings:
    """One server. ``model``, ``device``, ``looks`` and ``fast`` as ``ossa predict`` takes them.

    ``token``: asked of every request but those for its health; a server that listens elsewhere than on loopback has
    one. ``hosts``: names that a request may call the server by, beside those of loopback; none: without a token those
    of loopback alone, with one any, since a page elsewhere cannot know the token. ``folder``: where jobs are kept;
    None: in a temporary folder that goes with the server. Raises ConfigError.

    >>> from ossa.apps.serve.settings import Settings
    >>> Settings().address
    'http://127.0.0.1:8000'
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: Path | None = None
    device: str = "auto"
    looks: str = "auto"
    fast: bool = False
    token: str | None = None
    hosts: tuple[str, ...] = ()
    folder: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigError(
                "the token is too short to protect anything",
                found=f"{len(self.token)} characters",
                expected=f"at least {SHORTEST_TOKEN}",
                remedy="Make one: python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(
                "anybody who reaches this address could use the server",
                found=f"--host {self.host} without a token",
                expected="a token for every address but loopback (127.0.0.1, ::1, localhost)",
                remedy="Give --token-file FILE, set OSSA_TOKEN, or give --new-token to have one made and shown",
            )
        if not 0 <= self.port <= 65535:
            raise ConfigError("there is no such port", found=self.port, expected="0 (any that is free) to 65535")

    @property
    def address(self) -> str:
        """The server's URL."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def known_hosts(self) -> frozenset[str] | None:
        """Names that a Host header may have, in lower case and without port; None: any."""
        if self.token is not None and not self.hosts:
            return None
        own = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset(name.lower() for name in (*LOOPBACK, own, *self.hosts))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens at ``host``."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_token(path: Path) -> str:
    """The token in a file: its only line. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the token cannot be read", path=path, found=str(error), expected="a file of one line"
        ) from error
    if not text or len(text.split()) != 1 or not text.isascii():
        raise ConfigError("holds no token", path=path, found=f"{len(text.split())} words", expected="one line of ASCII")
    return text


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def host_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names of ``--allow-host``: as a browser writes them, without scheme and port. Raises ConfigError."""
    out = []
    for name in names:
        if "/" in name or not name or (":" in name and not name.startswith("[")) or "*" in name:
            raise ConfigError("is no name of a host", found=repr(name), expected="a name as xray.example.org, no port")
        out.append(name.lower())
    return tuple(out)
