"""The page on paper: WeasyPrint lays it out and writes a PDF.

WeasyPrint (BSD) reads the very page that a browser shows, in its print style, runs in this process, and fetches what it
is allowed to: nothing. A user's browser would look the same, but talks to its maker; a library that draws pages by
hand (reportlab) would need the report a second time. Fonts are those of the system.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ossa.errors import MissingExtraError, OutputError

_FONTS = (
    "Install a font that has them, for Korean NanumGothic or Noto Sans CJK (Debian: fonts-nanum), or leave --pdf out"
)

_PANGO = "It needs Pango: https://doc.courtbouillon.org/weasyprint/stable/first_steps.html says how it is installed"


def require() -> None:
    """Raise what keeps a PDF from being made: MissingExtraError without WeasyPrint, OutputError without Pango."""
    try:
        import weasyprint  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("a PDF", "pdf", error) from error
    except OSError as error:  # a library that it loads is not there
        raise OutputError("a PDF cannot be made here", found=str(error).splitlines()[0], remedy=_PANGO) from error


def pdf_of(page: str) -> bytes:
    """A page as a PDF file. Raises as ``require``, and OutputError where no font has the letters."""
    require()
    import weasyprint

    with _unknown_letters() as unknown:
        made = weasyprint.HTML(string=page, url_fetcher=_fetcher()).write_pdf()
    if unknown:
        letters = "".join(dict.fromkeys(unknown))
        raise OutputError(
            "no font of this system has all letters of the report",
            found=f"none for {len(set(unknown))} of them ({letters[:12]})",
            expected="a font for the language of the report",
            remedy=_FONTS,
        )
    return bytes(made or b"")


def _fetcher() -> object:
    """What fetches for the page: data that it holds itself."""
    from weasyprint.urls import URLFetcher

    return URLFetcher(allowed_protocols={"data"})


@contextmanager
def _unknown_letters() -> Iterator[list[str]]:
    """Collects the letters that no font has: WeasyPrint tells them in its log, and draws boxes."""

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if str(record.msg).startswith(".notdef") and isinstance(record.args, tuple) and record.args:
                found.append(str(record.args[0]))

    found: list[str] = []
    logger = logging.getLogger("weasyprint")
    handler, before = Collect(logging.WARNING), (logger.level, logger.propagate, list(logger.handlers))
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.WARNING)
    try:
        yield found
    finally:
        logger.setLevel(before[0])
        logger.propagate, logger.handlers = before[1], before[2]
