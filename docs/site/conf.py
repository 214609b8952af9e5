"""Sphinx's settings of the documentation site; scripts/docs builds it from README, docs/ and the docstrings."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import ossa

project = "ossa"
author = "The ossa authors"
copyright = "2026, the ossa authors"  # noqa: A001 (Sphinx's name)
version = release = ossa.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["docs/site", "**/*.ipynb", "samples/README.md"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
# A link to a file that is no page is a download; one that leads nowhere is a warning, and so an error.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_title = f"ossa {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


def plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """ossa's docstrings are plain text with ``code`` and >>> examples: what is indented stays as it is."""
    del app, what, name, obj, options
    text = inspect.cleandoc("\n".join(lines))
    out: list[str] = []
    for paragraph in text.split("\n\n"):
        rows = paragraph.split("\n")
        if rows[0].startswith((" ", ">>>")):
            out += ["", ".. code-block:: pycon" if ">>>" in rows[0] else "::", ""]
            out += ["    " + row for row in textwrap.dedent(paragraph).split("\n")]
        else:
            first = next((i for i, row in enumerate(rows) if row.startswith((" ", "- "))), len(rows))
            escaped = [row.replace("*", "\\*").replace("|", "\\|") for row in rows[:first]]
            out += ["", *escaped]
            if rows[first:]:
                out += ["", *(["::", ""] if rows[first].startswith(" ") else [])]
                indent = "    " if rows[first].startswith(" ") else ""
                out += [indent + row for row in textwrap.dedent("\n".join(rows[first:])).split("\n")]
    lines[:] = [*out, ""]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", plain)
