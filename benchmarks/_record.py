"""Keeps benchmarks/RESULTS.md: one section per benchmark, replaced whenever that benchmark runs again."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
HEADING = "# Measured\n\nEach section was written by the benchmark that it names, on the machine that it names.\n"


def _machine() -> str:
    """Processor, cores that this process may use, and Python: what a figure depends on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        model = found.group(1) if found else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    units = " ".join(_units())
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{model}, {cores} cores, {units + ', ' if units else ''}{system}"


def _units() -> list[str]:
    """The vector and half-precision units of the processor, as Linux calls them: speed depends on them."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^flags\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.is_file() else None
    flags = found.group(1).split() if found else []
    return [flag for flag in flags if re.fullmatch(r"avx2|avx512(f|_bf16|_fp16|_vnni)|amx_\w+|avx_vnni|sse4_2", flag)]


def record(title: str, lines: list[str]) -> None:
    """Print ``lines`` and put them into RESULTS.md as the section "## title", in place of an older one."""
    print("\n".join(lines))
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEADING
    heading, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    new = f"## {title}\n\n" + "\n".join(lines) + f"\n\n{date.today().isoformat()}, {_machine()}\n\n"
    for i, section in enumerate(sections):
        if section.splitlines()[0] == f"## {title}":
            sections[i] = new
            break
    else:
        if sections:
            sections[-1] = sections[-1].rstrip() + "\n\n"
        sections.append(new)
    RESULTS.write_text(heading.rstrip() + "\n\n" + "".join(sections).rstrip() + "\n", encoding="utf-8")
