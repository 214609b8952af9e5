"""The encrypted door of a DICOM node: callers are greeted each in a thread of their own, and not for long.

pynetdicom's server greets (shakes hands by TLS) where it accepts connections: a caller that says nothing would keep
everybody else out.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ossa.pipeline.node import reason_of

if TYPE_CHECKING:
    from pynetdicom import AE

#: Seconds that a caller has to show who it is.
GREETING = 10.0


def start_encrypted(
    entity: AE,
    address: tuple[str, int],
    context: ssl.SSLContext,
    handlers: list[Any],
    tell: Callable[[str], None],
    greeting: float = GREETING,
) -> Any:
    """``entity.start_server`` for connections by TLS; ``tell`` hears of callers not let in. Raises OSError."""
    from pynetdicom.transport import ThreadedAssociationServer

    class Encrypted(ThreadedAssociationServer):
        daemon_threads = True

        def get_request(self) -> Any:
            listener: Any = self.socket
            return listener.accept()

        def finish_request(self, request: Any, client_address: Any) -> None:
            request.settimeout(greeting)
            try:
                secure = context.wrap_socket(request, server_side=True)
            except OSError as error:  # ssl.SSLError and TimeoutError are such
                request.close()
                tell(f"turned away a caller from {client_address[0]}: {_why(error)}")
                return
            if secure.version() is None:  # it had hung up before it was greeted
                secure.close()
                return
            secure.settimeout(None)
            super().finish_request(secure, client_address)

    server: Any = entity.make_server(address, evt_handlers=handlers, server_class=Encrypted)
    entity._servers.append(server)  # as start_server does: its shutdown looks there
    threading.Thread(target=server.serve_forever, name="AcceptorServer by TLS", daemon=True).start()
    return server


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it said nothing"
    if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it has no certificate"
    if isinstance(error, ssl.SSLError) and error.reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER"):
        return "it does not speak TLS"
    return reason_of(error)
