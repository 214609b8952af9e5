"""What a release needs, in two steps:  python scripts/release.py check v0.1.0  |  notes v0.1.0

``check`` compares the tag with the package's version, CITATION.cff, recipe/recipe.yaml, CHANGELOG.md and the notes, and
says what is missing; ``notes`` prints the notes of a version. .github/workflows/release.yml runs both.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def versions(root: Path) -> dict[str, str]:
    """The file -> the version that it tells, without importing the package."""
    source = (root / "src" / "ossa" / "__init__.py").read_text(encoding="utf-8")
    package = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    recipe = yaml.safe_load((root / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    return {
        "src/ossa/__init__.py": package[1] if package else "none",
        "CITATION.cff": str(citation["version"]),
        "recipe/recipe.yaml": str(recipe["context"]["version"]),
    }


def problems(root: Path, tag: str) -> list[str]:
    """What keeps ``tag`` ("v0.1.0") from being released, one line each; empty where nothing does."""
    wanted = tag.removeprefix("v")
    found = [f"{name}: version {told}, expected {wanted}" for name, told in versions(root).items() if told != wanted]
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(wanted)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE):
        found.append(f"CHANGELOG.md: no heading '## [{wanted}] - YYYY-MM-DD'; move [Unreleased] there")
    if not (root / "docs" / "releases" / f"{wanted}.md").is_file():
        found.append(f"docs/releases/{wanted}.md: the notes are missing")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if not project.get("urls"):
        found.append("pyproject.toml: no [project.urls]; name the public repository (Homepage, Issues, Documentation)")
    return found


def notes(root: Path, tag: str) -> str:
    """The notes of a version, without their title, which the host writes itself."""
    text = (root / "docs" / "releases" / f"{tag.removeprefix('v')}.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].strip() + "\n"


def main() -> None:
    """Check or print; exit 1 where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("check", "notes"))
    parser.add_argument("tag", help="v0.1.0")
    args = parser.parse_args()
    if args.step == "notes":
        print(notes(ROOT, args.tag), end="")
        return
    wrong = problems(ROOT, args.tag)
    print("\n".join(wrong) or f"{args.tag} can be released")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
