"""The Dockerfile keeps to what docs/serve.md says of it; whether it builds, a machine with Docker must tell."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ossa.cli.serve import command

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    lines = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines.splitlines()) if word]


def test_the_base_is_pinned_and_the_user_is_nobody() -> None:
    told = instructions()
    bases = [rest.split()[0] for word, rest in told if word == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases[0])
    assert [rest for word, rest in told if word == "USER"] == ["10001:10001"]
    assert not [rest for word, rest in told if word in ("ADD", "MAINTAINER")]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert name in kept, name


def test_its_commands_are_understood() -> None:
    told = dict(instructions())
    words = json.loads(told["CMD"])
    assert json.loads(told["ENTRYPOINT"]) == ["ossa"]
    assert words[0] == "serve"
    given = command.make_context("serve", words[1:]).params
    assert (given["host"], given["new_token"], given["folder"]) == ("0.0.0.0", True, Path("/data"))
    assert f"EXPOSE {given['port']}" in TEXT
    check = json.loads(re.sub(r"^.*?CMD ", "", told["HEALTHCHECK"]))
    compile(check[2], "check", "exec")
    assert f":{given['port']}/health" in check[2]
