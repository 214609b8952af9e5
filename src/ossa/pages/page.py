"""What every page that ossa writes has in common: it opens from the disk, alone, and asks no host for anything.

Data reaches a page as JSON that cannot break out of its place, text is escaped, pictures are data
URIs or files beside the page. The content security policy forbids everything else, so even a file
name that is a piece of HTML stays a name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import OutputError

#: Characters that mean something inside a <script> element or end a line in old JavaScript, as \uXXXX.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def escape(text: object) -> str:
    """Text for HTML, also inside quoted attributes."""
    return html.escape(str(text), quote=True)


def script_json(value: Any) -> str:
    """JSON that may stand inside a <script> element or a .js file; NaN is refused with ValueError."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, safe in _UNSAFE.items():
        text = text.replace(character, safe)
    return text


def asset(name: str) -> str:
    """The text of a file in ``ossa/export/static``."""
    return files("ossa").joinpath("pages", "static", name).read_text(encoding="utf-8")


def jpeg(pixels: NDArray[np.uint8], quality: int = 85) -> bytes:
    """(H, W) grey or (H, W, 3) RGB uint8 as a JPEG file."""
    import cv2

    picture = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise OutputError("a picture could not be encoded", found=f"{pixels.dtype} {pixels.shape}")
    return bytes(data.tobytes())


def data_uri(data: bytes, kind: str = "image/jpeg") -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def page(title: str, body: str, style: str, scripts: tuple[str, ...] = ()) -> str:
    """A self-contained page. ``body`` is HTML that was escaped where needed; ``scripts`` run in order at its end.

    Inline scripts are allowed by their hash (CSP level 2), nothing may be fetched.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    allowed = hashes or "'none'"
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    tail = "".join(f"<script>{script}</script>" for script in scripts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>{body}{tail}</body></html>\n"
    )


def stretch(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """A radiograph for the eye: its .5 to 99.5 percentiles spread over 0..255 (many films are dark)."""
    values = np.asarray(grey)
    low, high = np.percentile(values[::4, ::4], (0.5, 99.5))
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    out: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return out
