"""Idempotency keys: a request whose answer was lost may be sent again, and makes nothing twice.

As in the IETF's draft-ietf-httpapi-idempotency-key-header-07, but that a request which comes again while the first is
being taken in waits for it instead of being refused (409).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from ossa.apps.serve.answers import Refusal
from ossa.apps.serve.store import Job, KeyTaken, Store

#: Longest Idempotency-Key.
LONGEST_KEY = 255

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A name for this request, unique to it, such as a UUID: sent again with the same pictures and "
        "settings it gives the same job, with others 422. It lives as long as the job.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        max_length=LONGEST_KEY + 2,
    ),
]


def plain_key(given: str) -> str:
    """The name of a request, with or without the quotes of a structured field (RFC 9651, 3.3.3). Raises Refusal."""
    plain = given.strip()
    if len(plain) > 1 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1]
    if not 1 <= len(plain) <= LONGEST_KEY or not (plain.isascii() and plain.isprintable()):
        raise Refusal(
            400,
            "this is no Idempotency-Key",
            found=repr(given[:60]),
            expected=f"1 to {LONGEST_KEY} printable ASCII characters, such as a UUID",
        )
    return plain


def same_job(store: Store, taken: KeyTaken, digest: str) -> Job:
    """The job that was made by the same request. Raises Refusal where it was another one."""
    found = store.job(taken.job)
    if taken.digest != digest or found is None:
        raise Refusal(
            422,
            "another job has this Idempotency-Key",
            code="key",
            found="other pictures or settings" if found is not None else "a job that is being deleted",
            expected="the same request again",
            remedy="Give every new job a key of its own",
        )
    return found
