"""A client of ``ossa serve`` in one file of the standard library: copy it to where ossa is not installed.

    from ossa.client import Client

    client = Client("http://127.0.0.1:8000", token="...")
    film = client.predict("hand.png")
    for hand in film["hands"]:
        print(hand["side"], hand["bones"], "bones")
    client.predict_to("hand.dcm", "hand_seg.dcm", "dicom-seg")
    job = client.submit(["a.png", "b.png"], "json,overlay")
    client.wait(job)
    client.fetch(job, "results.zip")

Where the server says 429 (too many wait) or 503 with Retry-After, the client asks again when it was told to, for at
most ``patience`` seconds.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

#: Bytes that are read and sent at once.
CHUNK = 1 << 18

#: Longest wait between two questions, seconds, whatever the server says.
LONGEST_WAIT = 60.0

StrPath = str | os.PathLike[str]
Body = Callable[[], tuple[Mapping[str, str], "Iterator[bytes]"]]


class ServerError(Exception):
    """What the server answered instead of a result.

    ``status`` of HTTP, ``code`` for programs; ``found``, ``expected``, ``remedy`` as the server tells them.
    """

    def __init__(self, status: int, told: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(told.get("code", "error"))
        self.message = str(told.get("message", ""))
        self.found, self.expected, self.remedy = (told.get(key) for key in ("found", "expected", "remedy"))
        parts = [self.message]
        parts += [f"found {self.found}"] if self.found else []
        parts += [f"expected {self.expected}"] if self.expected else []
        text = "; ".join(parts)
        super().__init__(f"{status} {self.code}: {text}" + (f". {self.remedy}" if self.remedy else ""))


class Unreachable(Exception):
    """No server answers there, or it hung up."""


class Client:
    """Asks the server at ``address`` (http or https). ``timeout`` of one answer and ``patience`` in seconds."""

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        token: str | None = None,
        *,
        timeout: float = 180.0,
        patience: float = 300.0,
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"no address of a server: {address!r}; expected http://HOST:PORT")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._token, self.timeout, self.patience = token, timeout, patience

    def version(self) -> str:
        """The server's version of ossa."""
        return str(self._json("GET", "/version")["version"])

    def ready(self) -> bool:
        """Whether the server could take a picture now."""
        try:
            self._ask("GET", "/ready", patience=0.0)
        except (ServerError, Unreachable):
            return False
        return True

    def predict(self, picture: StrPath, *, spacing: float | None = None) -> dict[str, Any]:
        """The bones of a radiograph: {"image", "width", "height", "notes", "hands": [{"side", "label", ...}]}.

        ``spacing``: mm per px, before what the file says. Raises ServerError, Unreachable, OSError.
        """
        value: dict[str, Any] = json.loads(self.answer(picture, "json", spacing=spacing))
        return value

    def answer(
        self,
        picture: StrPath,
        form: str,
        *,
        spacing: float | None = None,
        language: str = "en",
        hand: str | int | None = None,
    ) -> bytes:
        """The answer of a ``form`` (json, rle, overlay, measurements, report, dicom-seg, ...) as bytes.

        Several with commas are a ZIP archive, and so are overlays of several hands. ``hand``: only this one of a film
        with several: "left", "right", or its number from the left.
        """
        path = Path(picture)
        query: dict[str, str] = {"format": form, "language": language, "name": path.name}
        if spacing is not None:
            query["spacing"] = f"{spacing:g}"
        if hand is not None:
            query["hand"] = str(hand)

        def body() -> tuple[Mapping[str, str], Iterator[bytes]]:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
            return headers, _chunks(path)

        return self._ask("POST", "/v1/predict?" + urlencode(query), body)

    def predict_to(
        self, picture: StrPath, output: StrPath, form: str, *, spacing: float | None = None, language: str = "en"
    ) -> None:
        """``answer`` into the file ``output``, whole or not at all."""
        _write(Path(output), self.answer(picture, form, spacing=spacing, language=language))

    def submit(self, pictures: Sequence[StrPath], form: str = "json", key: str | None = None) -> str:
        """Begin a batch job; its id.

        ``key``: a name of this request's own. Where the answer was lost, submit again with the same key: the job that
        was made is given, and no second one made.
        """
        paths = [Path(picture) for picture in pictures]

        def body() -> tuple[Mapping[str, str], Iterator[bytes]]:
            mark = secrets.token_hex(16)
            heads = [_part_head(mark, path.name) for path in paths]
            end = f"--{mark}--\r\n".encode()
            size = sum(len(head) + path.stat().st_size + 2 for head, path in zip(heads, paths, strict=True)) + len(end)

            def stream() -> Iterator[bytes]:
                for head, path in zip(heads, paths, strict=True):
                    yield head
                    yield from _chunks(path)
                    yield b"\r\n"
                yield end

            headers = {"Content-Type": f"multipart/form-data; boundary={mark}", "Content-Length": str(size)}
            if key is not None:
                headers["Idempotency-Key"] = key
            return headers, stream()

        made = json.loads(self._ask("POST", "/v1/jobs?" + urlencode({"format": form}), body))
        return str(made["id"])

    def job(self, job: str) -> dict[str, Any]:
        """How far a job is: {"state", "items": {"done": 3, ...}, ...}."""
        return self._json("GET", f"/v1/jobs/{quote(job, safe='')}")

    def items(self, job: str) -> list[dict[str, Any]]:
        """The pictures of a job, each with its state, notes, files and error."""
        out: list[dict[str, Any]] = []
        while True:
            page = self._json("GET", f"/v1/jobs/{quote(job, safe='')}/items?offset={len(out)}&limit=1000")["pictures"]
            out += page
            if len(page) < 1000:
                return out

    def wait(self, job: str, every: float = 1.0, timeout: float | None = None) -> dict[str, Any]:
        """Wait until a job is done, failed or cancelled; how it ended. Raises TimeoutError after ``timeout`` s."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            found = self.job(job)
            if found["finished"] is not None:
                return found
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"job {job} is not finished after {timeout:g} s: {found['items']}")
            time.sleep(every)

    def fetch(self, job: str, output: StrPath) -> None:
        """All results that are done as a ZIP archive, written whole or not at all."""
        _write(Path(output), self._ask("GET", f"/v1/jobs/{quote(job, safe='')}/results"))

    def cancel(self, job: str) -> dict[str, Any]:
        """Take what is not done out of the queue."""
        return self._json("POST", f"/v1/jobs/{quote(job, safe='')}/cancel")

    def delete(self, job: str) -> None:
        """Remove a job with its pictures and results."""
        self._ask("DELETE", f"/v1/jobs/{quote(job, safe='')}")

    # --- one question -----------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._ask(method, path))
        return value

    def _ask(self, method: str, path: str, body: Body | None = None, patience: float | None = None) -> bytes:
        end = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            status, headers, data = self._once(method, path, body)
            if status < 400:
                return data
            wait = _seconds(headers.get("retry-after"))
            if status not in (429, 503) or wait is None or time.monotonic() + wait > end:
                raise ServerError(status, _told(data))
            time.sleep(wait)

    def _once(self, method: str, path: str, body: Body | None) -> tuple[int, Mapping[str, str], bytes]:
        connection = self._kind(self._host, self._port, timeout=self.timeout)
        headers: dict[str, str] = {"Accept": "*/*"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        content: Iterator[bytes] | None = None
        try:
            if body is not None:
                said, content = body()
                headers |= said
            with suppress(BrokenPipeError, ConnectionResetError):  # one that refuses a body answers before its end
                connection.request(method, self._base + path, content, headers)
            answer: HTTPResponse = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except (HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{self._host}:{connection.port}: {reason}") from error
        finally:
            connection.close()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _part_head(mark: str, name: str) -> bytes:
    plain = name.replace("\\", "_").replace('"', "%22").replace("\r", "_").replace("\n", "_")
    return (
        f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{plain}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode("utf-8", "replace")


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else min(LONGEST_WAIT, max(0.1, float(text)))
    except ValueError:
        return None


def _told(data: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        told = None
    return told if isinstance(told, dict) else {"message": data[:200].decode("utf-8", "replace")}


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
