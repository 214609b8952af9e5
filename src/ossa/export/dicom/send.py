"""DICOM files to an archive by C-STORE. Files stay where they are: whatever was not taken can be sent again."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext, SSLError
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, MissingExtraError, OutputError
from ossa.export.dicom.source import quietly
from ossa.export.dicom.tls import Tls, reason_of, shake_hands
from ossa.progress import Track, silent

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: Seconds to wait for the archive: for a connection, and for each answer.
PATIENCE = 30

#: Seconds for an archive to say what it has against a certificate, where no association came about.
_AFTERTHOUGHT = 5

_PLAIN = "1.2.840.10008.1.2.1"
_DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class Archive:
    """Where to send: ``called`` is the archive's application entity title, ``calling`` the one of ossa.

    ``tls``: how the connection is encrypted; None: not at all.
    """

    host: str
    port: int
    called: str = "ANY-SCP"
    calling: str = "OSSA"
    tls: Tls | None = None

    def __str__(self) -> str:
        return f"{self.called} at {self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, called: str = "ANY-SCP", calling: str = "OSSA") -> Archive:
        """From "host:port". Raises ConfigError."""
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigError("the archive's address is not understood", found=repr(text), expected="HOST:PORT")
        for title in (called, calling):
            if not (0 < len(title.strip()) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):
                raise ConfigError(
                    "an application entity title cannot be this", found=repr(title), expected="1 to 16 ASCII letters"
                )
        return cls(host, int(port), called, calling)

    @classmethod
    def named(cls, text: str, calling: str = "OSSA") -> Archive:
        """From "AE@host:port". Raises ConfigError."""
        called, at, address = text.rpartition("@")
        if not at:
            raise ConfigError(
                "the peer is not understood",
                found=repr(text),
                expected="AE@HOST:PORT, such as ORTHANC@pacs.example:104",
            )
        return cls.parse(address, called, calling)


@dataclass(frozen=True)
class Sent:
    """``taken``: files that the archive stored; ``refused``: (file, reason)."""

    taken: tuple[Path, ...]
    refused: tuple[tuple[Path, str], ...]


def send(
    files: Sequence[Path],
    archive: Archive,
    track: Track = silent,
    heard: Callable[[Path, str | None], None] = lambda _path, _reason: None,
) -> Sent:
    """Send DICOM files one by one; ``heard`` is told of each at once: None that it was taken, or why not.

    Raises OutputError when the archive cannot be reached, or breaks off: it names the files that were taken until
    then. A deflated file is sent inflated to an archive that does not take deflated ones.
    """
    try:
        import pynetdicom  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("sending to an archive", "dicom", error) from error
    headers = [_header(path) for path in files]
    taken: list[Path] = []
    refused: list[tuple[Path, str]] = []
    with _associated(archive, headers) as link:
        for path in track(files, len(files), "sending"):
            reason = _store(link, path)
            if reason is None or link.is_established:
                heard(path, reason)
            if reason is None:
                taken.append(path)
            elif not link.is_established:
                raise _failed(archive, reason, taken, len(files))
            else:
                refused.append((path, reason))
    return Sent(tuple(taken), tuple(refused))


def _header(path: Path) -> Dataset:
    import pydicom

    with quietly():
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])


@contextmanager
def _associated(archive: Archive, headers: Sequence[Dataset]) -> Iterator[Any]:
    from pynetdicom import AE

    entity = AE(ae_title=archive.calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = PATIENCE
    wanted: dict[str, set[str]] = {}
    for header in headers:
        syntax = str(header.file_meta.TransferSyntaxUID)
        wanted.setdefault(str(header.SOPClassUID), set()).update(
            {syntax} | ({_PLAIN} if syntax == _DEFLATED else set())
        )
    for kind, syntaxes in wanted.items():
        for syntax in sorted(syntaxes):  # a context each: the archive chooses one of several
            entity.add_requested_context(kind, [syntax])
    context = None if archive.tls is None else archive.tls.calling()
    _probe(archive, context, len(headers))
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what it logs is told in one sentence
    secure = None if context is None else (context, archive.host)
    link = entity.associate(archive.host, archive.port, ae_title=archive.called, tls_args=secure)
    try:
        if not link.is_established:
            raise _failed(archive, _why(link, archive, context), [], len(headers))
        yield link
    finally:
        if link.is_established:
            link.release()
        hang_up(link)


def hang_up(link: Any) -> None:
    """Close the socket that pynetdicom leaves open where an association could not be made, when nobody uses it."""
    held = link.dul.socket
    if held is None or held.socket is None:
        return
    link.dul.kill_dul()
    link.dul.join(PATIENCE)
    if held.socket is not None:
        held.socket.close()


def _probe(archive: Archive, context: SSLContext | None, total: int) -> None:
    """Ask whether anybody listens: pynetdicom would log a page, leave a socket open, and not say what is wrong."""
    try:
        if context is None:
            socket.create_connection((archive.host, archive.port), PATIENCE).close()
        else:
            shake_hands(archive.host, archive.port, context, PATIENCE)
    except socket.gaierror as error:
        raise _failed(archive, f"no such host ({error.strerror or error})", [], total) from error
    except SSLError as error:
        raise _failed(archive, reason_of(error), [], total) from error
    except OSError as error:
        raise _failed(archive, f"it does not answer ({error.strerror or error})", [], total) from error


def _why(link: Any, archive: Archive, context: SSLContext | None) -> str:
    if link.is_rejected:
        told = link.acceptor.primitive
        return f"it refused the connection: {told.reason_str if told is not None else 'no reason given'}"
    if context is not None:
        try:
            shake_hands(archive.host, archive.port, context, PATIENCE, listen=_AFTERTHOUGHT)
        except SSLError as error:
            return reason_of(error)
        except OSError:
            pass
    return "it does not answer"


def _failed(archive: Archive, found: str, taken: Sequence[Path], total: int) -> OutputError:
    done = f"{len(taken)} of {total} files were taken before" if taken else "nothing was sent"
    return OutputError(
        f"the archive {archive} cannot be reached",
        found=f"{found}; {done}",
        expected="a DICOM archive that takes C-STORE from this machine",
        remedy="All files are still here: send them again when it answers ('ossa export send')",
    )


def _store(link: Any, path: Path) -> str | None:
    """Send one file; the reason when it was not taken."""
    import pydicom

    with quietly():
        data = pydicom.dcmread(path)
        accepted = {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in link.accepted_contexts}
        kind, syntax = str(data.SOPClassUID), str(data.file_meta.TransferSyntaxUID)
        if (kind, syntax) not in accepted and syntax == _DEFLATED and (kind, _PLAIN) in accepted:
            data.file_meta.TransferSyntaxUID = pydicom.uid.UID(_PLAIN)
        elif (kind, syntax) not in accepted:
            name = pydicom.uid.UID(kind).name
            return f"the archive does not take objects of this kind ({name}, {pydicom.uid.UID(syntax).name})"
        try:
            status = link.send_c_store(data)
        except (ValueError, RuntimeError) as error:
            return str(error)
    if not status:
        return "the connection broke"
    code = int(status.Status)
    # Warnings (Bxxx) mean stored, with remarks (PS3.4 B.2.3).
    if code == 0 or code >> 12 == 0xB:
        return None
    return f"the archive refused it (status {code:04X}{_comment(status)})"


def _comment(status: Dataset) -> str:
    text = str(status.get("ErrorComment") or "")
    return f": {text}" if text else ""
