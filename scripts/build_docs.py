"""Build the documentation as a site: python scripts/build_docs.py [--no-examples] [--out build/site]

1. puts README, docs/ and the pages of the repository together in build/docs, in their places, so that links stay right,
2. draws the pictures of the sample anew, by running ossa on it,
3. runs every ```bash block of docs/ in an empty folder, page by page (```python blocks are run by tests/test_docs.py),
4. lets Sphinx write the pages, with every warning an error: a link that leads nowhere, a page in no list.

Needs ossa[docs]; ossa[phantom] for the examples. scripts/docs calls it. Exit 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: What goes onto the site besides docs/, and what its links lead to.
BESIDE = (
    "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "NOTICE", "README.md", "SECURITY.md",
    "benchmarks/RESULTS.md",
)  # fmt: skip

#: The order of the pages; those of docs/ that stand nowhere come last.
SECTIONS = {
    "Start": ("docs/first_steps", "docs/your_data", "docs/open_data", "docs/ko"),
    "Use": (
        "docs/results", "docs/quality", "docs/measurements", "docs/report", "docs/dicom", "docs/evaluation",
        "docs/inference", "docs/studio", "docs/napari", "docs/serve", "docs/node", "docs/scale",
    ),
    "Train": ("docs/training", "docs/phantom", "docs/model", "docs/model_card"),
    "Look up": ("docs/api", "docs/security", "docs/faults", "benchmarks/RESULTS", "CHANGELOG", "docs/releases/0.1.0"),
    "Take part": ("README", "CONTRIBUTING", "SECURITY"),
}  # fmt: skip

#: What a page is called in the list where its own title does not say it there.
TITLES = {
    "README": "Everything on one page", "docs/model_card": "Model card", "docs/releases/0.1.0": "Release notes 0.1.0",
    "benchmarks/RESULTS": "Every measured figure", "SECURITY": "Tell us of a vulnerability",
}  # fmt: skip


def stage(folder: Path) -> None:
    """Put the sources together in ``folder``, with an index of every page."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("site"))
    linked = {
        str(target.relative_to(ROOT))
        for name in BESIDE
        for link in re.findall(r"\]\(([^)#:]+)", (ROOT / name).read_text(encoding="utf-8"))
        if (target := (ROOT / name).parent.joinpath(link).resolve()).is_file() and not link.startswith("docs/")
    }
    for name in {*BESIDE, *linked}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copyfile(ROOT / "docs" / "site" / "conf.py", folder / "conf.py")
    (folder / "_static").mkdir()
    shutil.copyfile(ROOT / "docs" / "site" / "site.css", folder / "_static" / "site.css")
    pages = {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.md")}
    text = (ROOT / "docs" / "site" / "index.md").read_text(encoding="utf-8")
    listed = {title: [page for page in known if page in pages] for title, known in SECTIONS.items()}
    listed["More"] = sorted(pages - {page for known in listed.values() for page in known})
    for title, known in listed.items():
        if known:
            text += "\n```{toctree}\n:hidden:\n:caption: " + title + "\n\n" + "\n".join(map(_entry, known)) + "\n```\n"
    (folder / "index.md").write_text(text, encoding="utf-8")


def _entry(page: str) -> str:
    """A line of a list of pages."""
    return f"{TITLES[page]} <{page}>" if page in TITLES else page


def run_examples(page: Path) -> int:
    """Run the ```bash blocks of a page, one after the other in one folder with samples/. Returns how many."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if not blocks:
        return 0
    with tempfile.TemporaryDirectory(prefix="ossa-docs-") as name:
        shutil.copytree(ROOT / "samples", Path(name) / "samples")
        script = f'ossa() {{ "{sys.executable}" -m ossa "$@"; }}\nset -euo pipefail\n' + "\n".join(blocks)
        done = subprocess.run(["bash", "-c", script], cwd=name, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{page.relative_to(ROOT)}: an example fails with {done.returncode}\n{done.stdout}{done.stderr}")
    return len(blocks)


def main() -> None:
    """Stage, draw, run, build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--no-examples", action="store_true", help="neither run the examples nor draw the pictures")
    args = parser.parse_args()
    work = ROOT / "build" / "docs"
    stage(work)
    if not args.no_examples:
        drawn = [sys.executable, str(ROOT / "scripts" / "draw_readme.py"), str(work / "docs" / "pictures")]
        subprocess.run(drawn, check=True)
        counts = {page.name: run_examples(page) for page in sorted((ROOT / "docs").glob("*.md"))}
        print(f"{sum(counts.values())} examples run on {sum(map(bool, counts.values()))} pages")
    words = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-E",
        "-b",
        "html",
        str(work),
        str(args.out),
    ]
    sys.exit(subprocess.run(words, check=False, env=os.environ | {"PYTHONWARNINGS": "ignore"}).returncode)


if __name__ == "__main__":
    main()
