"""Encrypted DICOM: TLS 1.2 or later, as the secure transport profiles of PS3.15 annex B (BCP 195) ask.

A certificate says who somebody is: the peer's is checked against those of ``trust`` (None: those that the system
trusts) and against its host name; a listener that has ``trust`` lets in only callers with a certificate of its own.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ossa.errors import ConfigError


@dataclass(frozen=True)
class Tls:
    """Files in PEM: the own ``certificate`` with its ``key`` (None: in the same file), and whom to ``trust``."""

    certificate: Path | None = None
    key: Path | None = None
    trust: Path | None = None

    def calling(self) -> ssl.SSLContext:
        """For who calls: the peer must be who it says it is. Raises ConfigError for files that cannot be used."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        self._set_up(context)
        return context

    def listening(self) -> ssl.SSLContext:
        """For who is called. Raises ConfigError for files that cannot be used, and without a certificate."""
        if self.certificate is None:
            raise ConfigError(
                "a listener needs a certificate", found="none", expected="a PEM file with its certificate and its key"
            )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._set_up(context)
        if self.trust is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _set_up(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.key is not None and self.certificate is None:
            raise ConfigError("a key without its certificate", path=self.key, expected="a certificate besides")
        if self.certificate is not None:
            try:
                if "ENCRYPTED" in (self.key or self.certificate).read_text("ascii", "replace"):
                    raise OSError("a key with a password")  # OpenSSL would ask for it on the terminal
                context.load_cert_chain(self.certificate, self.key)
            except OSError as error:  # ssl.SSLError is one
                raise _unusable(self.certificate, self.key, error) from error
        if self.trust is not None:
            try:
                context.load_verify_locations(cafile=self.trust)
            except OSError as error:
                raise ConfigError(
                    "says nothing of whom to trust",
                    path=self.trust,
                    found=_words(error),
                    expected="certificates in PEM (-----BEGIN CERTIFICATE-----)",
                ) from error


def _unusable(certificate: Path, key: Path | None, error: OSError) -> ConfigError:
    mismatch = isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH"
    found = "a key that belongs to another certificate" if mismatch else _words(error)
    expected = "a certificate in PEM, and its key there or in a file of its own, without a password"
    where = certificate if key is None else f"{certificate}, {key}"
    return ConfigError("the certificate cannot be used", path=where, found=found, expected=expected)


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").replace("_", " ").lower()
    return error.strerror or str(error)


def shake_hands(host: str, port: int, context: ssl.SSLContext, patience: float, listen: float = 0.0) -> None:
    """Call, greet and hang up. Raises OSError: ssl.SSLCertVerificationError where the peer is not who it should be.

    ``listen``: seconds for the peer to say what it thinks of our own certificate, which comes after the greeting by
    TLS 1.3; a peer that is content says nothing.
    """
    with (
        socket.create_connection((host, port), patience) as plain,
        context.wrap_socket(plain, server_hostname=host) as link,
    ):
        if listen > 0:
            link.settimeout(listen)
            with suppress(TimeoutError):
                link.recv(1)


def reason_of(error: OSError) -> str:
    """Why an encrypted connection could not be made, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
            return f"it does not take this certificate ({_words(error)})"
        return f"it does not speak TLS as this does ({_words(error)})"
    return error.strerror or str(error)
