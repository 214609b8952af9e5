"""The face of a DICOM node: it listens, and calls ``pipeline.node`` for everything else.

One thread for each caller (pynetdicom's), one for each peer, and the main one, which answers picture after picture.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ossa.apps.node_tls import start_encrypted
from ossa.errors import ConfigError, MissingExtraError, OutputError
from ossa.pipeline.node import TAKEN, Node, Tls, printable

#: What the node takes: CR and DX for presentation; Secondary Capture where it is told so (PS3.4 B.5).
CR, DX, SECONDARY = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.7"

#: Transfer syntaxes that ``radiograph.dicom`` reads: plain, deflated, RLE, JPEG, JPEG-LS, JPEG 2000 and its successor.
SYNTAXES = [
    f"1.2.840.10008.1.2{tail}"
    for tail in (
        ".1", "", ".1.99", ".2", ".5", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91", ".4.201",
        ".4.202", ".4.203",
    )
]  # fmt: skip

#: Seconds that callers have to finish what they are sending when the node ends.
GRACE = 10.0

#: Seconds between looks at the queue when nothing is heard: for pictures that are tried again.
_POLL = 2.0

#: Seconds until a queue that cannot be written is tried again.
_TROUBLE = 60.0


@dataclass(frozen=True)
class Door:
    """Where a node listens, and to whom.

    ``entity``: its own title, which callers must call; ``callers``: their titles, None for all; ``secondary``: take
    Secondary Captures too; ``tls``: everything that is said is encrypted, None: nothing is.
    """

    entity: str
    host: str = "127.0.0.1"
    port: int = 11112
    callers: frozenset[str] | None = frozenset()
    secondary: bool = False
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if self.callers is not None and not self.callers:
            raise ConfigError(
                "nobody may call this node", expected="titles of those who may: --allow AE, or --allow-any"
            )
        for title in (self.entity, *(self.callers or ())):
            if not (0 < len(title.strip()) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):
                raise ConfigError(
                    "an application entity title cannot be this", found=repr(title), expected="1 to 16 ASCII letters"
                )
        if not 0 <= self.port < 65536:
            raise ConfigError("no port has this number", found=self.port, expected="1 to 65535")


@contextmanager
def listening(node: Node, door: Door) -> Iterator[int]:
    """Take what callers bring as long as the block runs; gives the port. At its end callers may finish first.

    Raises OutputError where the port cannot be had, ConfigError for certificates that cannot be used, MissingExtraError
    without pynetdicom.
    """
    try:
        from pynetdicom import AE, evt
    except ImportError as error:
        raise MissingExtraError.of("a DICOM node", "dicom", error) from error
    context = None if door.tls is None else door.tls.listening()
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # it logs names that objects bear
    entity = AE(ae_title=door.entity)
    entity.require_called_aet = True
    if door.callers is not None:
        entity.require_calling_aet = sorted(door.callers)
    entity.add_supported_context("1.2.840.10008.1.1")  # Verification: C-ECHO
    for kind in (CR, DX, *([SECONDARY] if door.secondary else [])):
        entity.add_supported_context(kind, SYNTAXES)
    handlers: list[Any] = [
        (evt.EVT_C_STORE, _store, [node]),
        (evt.EVT_REJECTED, _rejected, [node, door]),
    ]
    try:
        server: Any = (
            entity.start_server((door.host, door.port), block=False, evt_handlers=handlers)
            if context is None
            else start_encrypted(entity, (door.host, door.port), context, handlers, node.tell)
        )
    except OSError as error:
        raise OutputError(
            f"the node cannot listen at {door.host}:{door.port}",
            found=error.strerror or str(error),
            expected="a port that is free, of an address of this machine",
            remedy="Give another one with --port, or end the program that has it",
        ) from error
    try:
        yield int(server.server_address[1])
    finally:
        # Nobody new comes in; who is inside may finish. Who has said nothing yet is not inside.
        server.shutdown()
        for link in entity.active_associations:
            if link.requestor.primitive is None:
                _hung_up(link)
        end = time.monotonic() + GRACE
        while entity.active_associations and time.monotonic() < end:
            time.sleep(0.05)
        entity.shutdown()


def _hung_up(link: Any) -> None:
    """End a connection on which no association was asked for: one that only looks whether the port is open.

    pynetdicom waits half a minute for its request, even when the other side has hung up, and cannot abort it before.
    """
    with suppress(AttributeError, OSError):  # it may be closed already
        link.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    link.dul.to_user_queue.put(None)  # as if that half minute had passed


def _store(event: Any, node: Node) -> Any:
    """C-STORE: the answer is given when the picture is on the disk, or refused."""
    from pydicom.dataset import Dataset

    request = event.request
    caller = str(event.assoc.requestor.ae_title).strip()
    verdict = node.take(
        event.encoded_dataset(), str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID), caller
    )
    if verdict.status == TAKEN:
        return TAKEN
    out = Dataset()
    out.Status = verdict.status
    out.ErrorComment = verdict.why
    return out


def _rejected(event: Any, node: Node, door: Door) -> None:
    """Say why a caller was not let in: it is told no more than a number."""
    caller = printable(str(event.assoc.requestor.ae_title).strip())
    asked = event.assoc.requestor.primitive
    called = printable(str(asked.called_ae_title).strip()) if asked is not None else ""
    if door.callers is not None and caller not in door.callers:
        why = "it is not among those who may call (--allow)"
    elif called and called != door.entity:
        why = f"it called '{called}', this is '{door.entity}'"
    else:
        why = "too many callers at once"
    node.tell(f"turned away '{caller}' from {event.assoc.requestor.address}: {why}")


def serve(
    node: Node, door: Door, *, stop: threading.Event | None = None, ready: Callable[[int], None] | None = None
) -> None:
    """Listen, answer and send until ``stop``, or a signal to end; what is in hand is finished then.

    ``ready`` is given the port. Raises as ``listening`` does, and what ends ``Node.work``.
    """
    ending = stop or threading.Event()
    senders = [threading.Thread(target=_sending, args=(node, name, ending), name=f"to {name}") for name in node.peers]

    def end(*_: object) -> None:
        ending.set()
        node.arrived.set()
        for event in node.made.values():
            event.set()

    # Signals are heeded before anybody can know that the node is there: who does may end it in order.
    with _on_signals(end), listening(node, door) as port:
        for thread in senders:
            thread.start()
        try:
            if ready is not None:
                ready(port)
            while not ending.is_set():
                node.arrived.clear()
                if not _worked(node, ending):
                    node.arrived.wait(_POLL)
        finally:
            end()
            for thread in senders:
                thread.join()


def _worked(node: Node, ending: threading.Event) -> bool:
    """Whether a picture was worked on; where the queue itself fails (a full disk), it is tried again after a while."""
    try:
        return node.work()
    except OutputError as error:
        node.tell(f"{error} (tried again in {_TROUBLE:.0f} s)")
        ending.wait(_TROUBLE)
    with suppress(OutputError):
        node.queue.begin_again()
    return False


def _sending(node: Node, name: str, ending: threading.Event) -> None:
    made = node.made[name]
    while not ending.is_set():
        made.clear()
        try:
            wait = node.deliver(name)
        except OutputError as error:  # the queue itself: the disk may have room again later
            node.tell(f"{error} (tried again in {_TROUBLE:.0f} s)")
            wait = _TROUBLE
        if wait is not None:
            ending.wait(wait)
        elif not node.queue.due_answers(name, 1):
            made.wait(_POLL)


@contextmanager
def _on_signals(end: Callable[..., None]) -> Iterator[None]:
    """SIGTERM, SIGHUP and the first Ctrl-C end the node in order; a second Ctrl-C ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def once(number: int, _frame: object) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        end()

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # nohup
    former = {number: signal.signal(number, once) for number in heeded}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def run(
    folder: Path,
    door: Door,
    *,
    to: tuple[str, ...],
    to_tls: tuple[str, ...] = (),
    stow: tuple[str, ...],
    token: str | None,
    tls: Tls | None = None,
    model: Path | None,
    device: str,
    keep: bool,
    tell: Callable[[str], None],
) -> None:
    """``ossa node start``: open the queue, load the model, and serve. For errors see what it calls."""
    from ossa.pipeline.node import looker, peers_of, stamped
    from ossa.pipeline.node_queue import NodeQueue

    peers = peers_of(to, stow, door.entity, token, to_tls, tls)
    if door.tls is not None:
        door.tls.listening()  # before the model is loaded
    queue = NodeQueue(folder, door.entity, keep=keep)
    try:
        look, maker = looker(model, device)

        def log(line: str) -> None:
            tell(stamped(line))

        node = Node(queue, look, maker, peers, log)
        for name, number in node.orphans().items():
            log(f"{number} answers wait for {name}, which is not named now: they stay, and go when it is named again")

        def ready(port: int) -> None:
            here = " (this machine only; --host 0.0.0.0 lets others in)" if door.host == "127.0.0.1" else ""
            who = "anybody" if door.callers is None else ", ".join(sorted(door.callers))
            how = "" if door.tls is None else " encrypted" if door.tls.trust is None else " encrypted, by certificate"
            peers = ", ".join(node.peers)
            log(f"{door.entity} listens at {door.host}:{port}{how}{here} to {who}; answers go to {peers}")

        serve(node, door, ready=ready)
        log(f"{door.entity} has ended")
    finally:
        queue.close()
