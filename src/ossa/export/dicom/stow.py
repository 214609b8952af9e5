"""DICOM files to an archive over the web: STOW-RS (PS3.18, 10.5), one file a request."""

from __future__ import annotations

import ipaddress
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from uuid import uuid4

from ossa.errors import ConfigError, OutputError
from ossa.export.dicom.send import PATIENCE, Sent

#: Answers longer than this are no list of instances.
_LONGEST = 1 << 20

#: Failure Reason (0008,1197) of an instance that was not stored, and the sequence that lists such instances.
_REASON, _FAILED = "00081197", "00081198"


@dataclass(frozen=True)
class WebArchive:
    """Where to send: ``url`` is the archive's DICOMweb root; ``token``: a bearer token, never shown."""

    url: str
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.url

    @classmethod
    def parse(cls, text: str, token: str | None = None) -> WebArchive:
        """From the root of a DICOMweb service, with or without "/studies" at its end. Raises ConfigError.

        A token is sent to no other machine without encryption, nor are a name and a password in the address taken:
        they would stand in lists of processes.
        """
        parts = urllib.parse.urlsplit(text)
        try:
            host = parts.hostname if parts.port is None or 0 < parts.port < 65536 else None
        except ValueError:
            host = None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise ConfigError(
                "the DICOMweb address is not understood", found=repr(text), expected="https://pacs.example/dicom-web"
            )
        if parts.username is not None or parts.password is not None:
            raise ConfigError(
                "a DICOMweb address bears no name and no password", remedy="Give a token in OSSA_STOW_TOKEN instead"
            )
        if token and parts.scheme == "http" and not _is_here(host):
            raise ConfigError("a token would be sent unencrypted", found=text, expected="an address of https://")
        return cls(text.rstrip("/").removesuffix("/studies"), token or None)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def store(
    files: Sequence[Path],
    archive: WebArchive,
    heard: Callable[[Path, str | None], None] = lambda _path, _reason: None,
) -> Sent:
    """Store DICOM files; ``heard`` is told of each at once: None that it was taken, or why not.

    Raises OutputError when the archive cannot be reached, does not know this sender, or has no room now.
    """
    taken: list[Path] = []
    refused: list[tuple[Path, str]] = []
    for path in files:
        reason = _store(path, archive)
        heard(path, reason)
        if reason is None:
            taken.append(path)
        else:
            refused.append((path, reason))
    return Sent(tuple(taken), tuple(refused))


class _NoOtherAddress(urllib.request.HTTPRedirectHandler):
    """A patient's files and a token go to the address that was given, and nowhere that an answer names."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _store(path: Path, archive: WebArchive) -> str | None:
    """Store one file; the reason when it was not taken."""
    border = uuid4().hex
    body = f"--{border}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body += path.read_bytes() + f"\r\n--{border}--\r\n".encode()
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={border}',
        "Accept": "application/dicom+json",
    }
    if archive.token:
        headers["Authorization"] = f"Bearer {archive.token}"
    request = urllib.request.Request(f"{archive.url}/studies", data=body, headers=headers)
    opener = urllib.request.build_opener(_NoOtherAddress)
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            return _refusal(answer.read(_LONGEST))
    except urllib.error.HTTPError as error:
        with error:
            told = error.read(_LONGEST)
        if error.code == 409:
            return _refusal(told) or "the archive refused it (409)"
        # 400 Bad Request and 415 Unsupported Media Type are about this file; anything else is about all (PS3.18 8.5).
        if error.code in (400, 415):
            return f"the archive refused it ({error.code} {error.reason})"
        raise _failed(archive, f"it answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _failed(archive, f"it does not answer ({_why(error.reason)})") from error
    except (OSError, HTTPException) as error:
        raise _failed(archive, f"the connection broke ({_why(error)})") from error


def _why(error: object) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no trusted encryption: {error.reason or error}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _refusal(told: bytes) -> str | None:
    """Why an instance was not stored, from the answer's list of those that were not; None where there is no such."""
    try:
        failed = json.loads(told)[_FAILED]["Value"]
    except (ValueError, KeyError, TypeError):
        return None
    for item in failed if isinstance(failed, list) else []:
        try:
            return f"the archive refused it (reason {int(item[_REASON]['Value'][0]):04X})"
        except (KeyError, IndexError, TypeError, ValueError):
            return "the archive refused it"
    return None


def _failed(archive: WebArchive, found: str) -> OutputError:
    return OutputError(
        f"the archive {archive} cannot be reached",
        found=found,
        expected="the root of a DICOMweb service that takes STOW-RS from this machine",
    )
