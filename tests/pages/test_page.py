"""Pages are self-contained, and text that comes from files cannot become markup or script."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.pages.page import asset, data_uri, escape, page, page_of_files, script_json

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028"


class Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_script_json_survives_any_text(text: str) -> None:
    written = script_json({"name": text, "list": [text]})
    assert json.loads(written) == {"name": text, "list": [text]}
    assert not re.search("[<>&\u2028\u2029]", written)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_escaped_text_makes_no_tag(text: str) -> None:
    parser = Collector()
    parser.feed(f'<p title="{escape(text)}">{escape(text)}</p>')
    assert parser.tags == ["p"]
    assert [name for name, _ in parser.attributes] == ["title"]


def test_nan_does_not_become_broken_json() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        script_json({"x": float("nan")})


def test_a_page_allows_its_own_scripts_only() -> None:
    text = page(HOSTILE, f"<p>{escape(HOSTILE)}</p>", "p{}", ("let a = 1;",))
    assert text.count("<script>") == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "'sha256-" in policy[1]
    assert "unsafe-inline" not in policy[1].split("script-src")[1]
    assert "http" not in text.replace("http-equiv", "")


def test_the_shipped_pages_name_no_host() -> None:
    for name in ("gallery.css", "evaluation.css", "evaluation.js"):
        assert not re.search(r"https?:|//[a-z]+\.[a-z]", asset(name)), name
    # Names of XML namespaces look like addresses; nothing else may.
    assert set(re.findall(r"https?://[\w.-]+", asset("gallery.js"))) <= {"http://www.w3.org", "http://www.opengis.net"}


def test_pages_never_write_markup_from_data() -> None:
    texts = {"evaluation.js": asset("evaluation.js")}
    viewer = Path(__file__).parents[2] / "studio" / "src"  # what gallery.js is built from, beside its libraries
    texts |= {path.name: path.read_text(encoding="utf-8") for path in viewer.rglob("*.ts*")}
    assert len(texts) > 40
    for name, text in texts.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text, re.I), name


def test_a_page_of_files_takes_them_from_its_folder_alone() -> None:
    text = page_of_files(HOSTILE, "<p>x</p>", "a.css", ("b.js", "c.js"))
    assert re.findall(r'<script src="([^"]*)"></script>', text) == ["b.js", "c.js"]
    assert "<script>" not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "http" not in text.replace("http-equiv", "")


def test_data_uris() -> None:
    assert data_uri(b"abc") == "data:image/jpeg;base64,YWJj"
