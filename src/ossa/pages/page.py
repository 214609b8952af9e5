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
    """The text of a file in ``ossa/pages/static``."""
    return files("ossa").joinpath("pages", "static", name).read_text(encoding="utf-8")


def data_uri(data: bytes, kind: str = "image/jpeg") -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def page(title: str, body: str, style: str, scripts: tuple[str, ...] = (), language: str = "en") -> str:
    """A page of one file. ``body`` is HTML that was escaped where needed; ``scripts`` run in order at its end.

    Inline scripts are allowed by their hash (CSP level 2), nothing may be fetched.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    allowed = hashes or "'none'"
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    tail = "".join(f"<script>{script}</script>" for script in scripts)
    return _document(title, policy, f"<style>{style}</style>", body + tail, language)


def page_of_files(title: str, body: str, style: str, scripts: tuple[str, ...]) -> str:
    """A page with files beside it: the stylesheet ``style``, ``scripts`` that run in order at its end, and pictures.

    Nothing may come from elsewhere: a browser that opens the page from the disk fetches from its folder alone.
    """
    own = "'self' file:"
    policy = f"default-src 'none'; img-src {own} data:; script-src {own}; style-src {own}"
    tail = "".join(f'<script src="{escape(name)}"></script>' for name in scripts)
    return _document(title, policy, f'<link rel="stylesheet" href="{escape(style)}">', body + tail)


def _document(title: str, policy: str, style: str, body: str, language: str = "en") -> str:
    return (
        f'<!doctype html>\n<html lang="{escape(language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>{style}</head>\n<body>{body}</body></html>\n"
    )
