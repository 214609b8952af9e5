"""What ossa brings along: licences, a bill of materials, known vulnerabilities.

    python scripts/audit_packages.py [--extras train,dicom] [--sbom sbom.json] [--online]

Looks at what is installed of ossa's requirements with their own requirements, all extras without --extras. Licences
need no network; --sbom needs cyclonedx-py (ossa[audit]) and no network either; --online asks pip-audit (ossa[audit]),
which sends names and versions of the packages to PyPI's database. Exit 1 where something is found or unknown.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Licences under which anybody may use, change and pass on, as SPDX has them or as people write them.
PERMISSIVE = re.compile(
    r"\b(MIT|Apache|BSD|ISC|PSF|Python Software Foundation|Zlib|Unlicense|HPND|0BSD|CC0|MPL|Mozilla|LGPL|Lesser"
    r"|BSL-1\.0|Boost|Unicode|Public Domain|CNRI|FreeBSD|OFL|SIL Open Font|Historical Permission|3-Clause|2-Clause)",
    re.IGNORECASE,
)

#: Licences that would reach over to what is built with them.
STRONG = re.compile(
    r"\b(A?GPL|Affero|GNU General Public|SSPL|Commons Clause|CC[- ]BY[- ]NC|non-?commercial)", re.IGNORECASE
)

#: Packages whose metadata say too little or too much, with what was read in their own licence files.
READ = {
    "nvidia": "NVIDIA's libraries below a CUDA build of torch: proprietary, free to use; not there in the CPU build",
    "cuda": "as nvidia",
    "codespell": "GPL-2.0, a program that looks at spelling; nothing of ossa is built with it",
    "text-unidecode": "Artistic License, at the receiver's choice beside the GPL",
}


def closure(name: str, extras: Iterable[str]) -> dict[str, Distribution | None]:
    """Every requirement of ``name[extras]`` and theirs: name -> what is installed, None where it is not."""
    found: dict[str, Distribution | None] = {}
    waiting = [(name, frozenset(extras))]
    seen = set()
    while waiting:
        package, wanted = waiting.pop()
        key = canonicalize_name(package)
        if (key, wanted) in seen:
            continue
        seen.add((key, wanted))
        try:
            found[key] = distribution(package)
        except PackageNotFoundError:
            found[key] = None
            continue
        for line in found[key].requires or []:
            need = Requirement(line)
            environments = [{"extra": extra} for extra in wanted] or [{"extra": ""}]
            if need.marker is None or any(need.marker.evaluate(each) for each in environments):
                waiting.append((need.name, frozenset(need.extras)))
    return found


def licence(package: Distribution) -> str:
    """What a package says of its licence: the SPDX expression, else classifiers, else the first line of the text."""
    data = package.metadata
    told = data.get("License-Expression") or ""
    kinds = [kind.rpartition(" :: ")[2] for kind in data.get_all("Classifier", []) if kind.startswith("License ::")]
    kinds = [kind for kind in kinds if kind != "OSI Approved"]
    return told or " / ".join(kinds) or (data.get("License") or "").strip().partition("\n")[0][:60] or "not told"


def verdict(name: str, told: str) -> str:
    """ "" where a licence is fine, else what is wrong with it."""
    if any(name.startswith(known) for known in READ):
        return ""
    if STRONG.search(told) and not re.search(r"LGPL|Lesser|exception| OR ", told, re.IGNORECASE):
        return "reaches over to what uses it"
    return "" if PERMISSIVE.search(told) else "is not known to be permissive"


def vulnerabilities(packages: dict[str, Distribution | None]) -> int:
    """pip-audit on the exact versions; its exit code."""
    pins = "".join(f"{name}=={found.version.partition('+')[0]}\n" for name, found in packages.items() if found)
    with tempfile.TemporaryDirectory(prefix="ossa-audit-") as folder:
        path = Path(folder) / "pins.txt"
        path.write_text("".join(line for line in pins.splitlines(True) if not line.startswith("ossa==")))
        words = [
            sys.executable,
            "-m",
            "pip_audit",
            "--strict",
            "--no-deps",
            "--disable-pip",
            "--progress-spinner",
            "off",
        ]
        return subprocess.run([*words, "-r", str(path)], check=False).returncode


def main() -> None:
    """Print the table, write the bill, ask the database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", help="comma between them; every one that ossa has without it")
    parser.add_argument("--sbom", type=Path, help="write a CycloneDX bill of materials of this environment")
    parser.add_argument("--online", action="store_true", help="look known vulnerabilities up")
    args = parser.parse_args()
    every = distribution("ossa").metadata.get_all("Provides-Extra", [])
    packages = closure("ossa", args.extras.split(",") if args.extras else every)
    wrong = 0
    print("| package | version | licence |\n|---|---|---|")
    for name, found in sorted(packages.items()):
        if found is None:
            continue
        told = licence(found)
        problem = verdict(name, told)
        wrong += bool(problem)
        print(f"| {name} | {found.version} | {told}{f' **{problem}**' if problem else ''} |")
    absent = sorted(name for name, found in packages.items() if found is None)
    print(f"\n{len(packages) - len(absent)} packages, {wrong} to look at; not installed: {', '.join(absent) or 'none'}")
    if args.sbom:
        words = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "-o", str(args.sbom)]
        wrong += subprocess.run(words, check=False).returncode != 0
        print(
            f"bill of materials: {args.sbom}"
            if args.sbom.is_file()
            else "no bill of materials: pip install 'ossa[audit]'"
        )
    if args.online:
        wrong += vulnerabilities(packages) != 0
    else:
        print("known vulnerabilities were not looked up: that needs the network, --online")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
