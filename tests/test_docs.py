"""The examples of README and docs: Python blocks run as they stand, command lines hold what their commands take."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ossa.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: A fenced block that is for reading says so: ```python <name>. CONTRIBUTING's are run by test_contributing.
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def python_blocks() -> list[tuple[str, str]]:
    found = [(page, block) for page in PAGES for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [(f"{page.name}-{number}", block) for number, (page, block) in enumerate(found)]


def command_lines() -> Iterator[tuple[str, str]]:
    """(page, "ossa ...") of every indented command line and of every command in backticks that has an option."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        # ```bash blocks are run where the site is built (scripts/build_docs.py); here their options are looked at.
        in_blocks = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).splitlines()
        for line in [*re.findall(r"^ {4}(.*)$", text, re.MULTILINE), *(row.split("||")[0] for row in in_blocks)]:
            for part in line.split("#")[0].split("&&"):
                if found := re.search(r"(?:^|[ /])(ossa [a-z].*?)\s*$", part):
                    yield page.name, found[1]
        for code in re.findall(r"`(ossa [a-z][^`]*--[^`]*)`", text):
            yield page.name, " ".join(code.split())


@pytest.mark.parametrize(("name", "block"), python_blocks(), ids=lambda value: value if "\n" not in value else "")
def test_python_runs(name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the shipped model, in a folder like the repository's."""
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, name, "exec"), {"__name__": "__example__"})


@pytest.mark.parametrize(("page", "line"), sorted(set(command_lines())))
def test_command_lines_are_understood(page: str, line: str) -> None:
    words = shlex.split(line.replace("[", "").replace("]", ""))[1:]
    command: click.Command = cli
    name = "ossa"
    context = click.Context(cli, info_name=name)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"{page}: no command '{name}' in: {line}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    options = {text for parameter in command.params for text in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
    assert given <= options | {"--help"}, f"{page}: {sorted(given - options)} of: {line}"


def test_there_is_something_to_test() -> None:
    assert len(python_blocks()) >= 2
    assert len(set(command_lines())) > 15
    assert {line.split()[1] for _, line in command_lines()} <= set(COMMANDS)
