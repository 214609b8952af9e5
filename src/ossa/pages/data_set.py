"""One page that says what a data set is like: counts, distributions, bones, a few pictures, and the training proposed.

Numbers that were measured elsewhere come in; one HTML file that holds everything itself comes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ossa.pages.page import asset, data_uri, escape, page
from ossa.safety import write_text

#: Bars of a histogram.
_BARS = 24

_STYLE = """
.charts { display: flex; flex-wrap: wrap; gap: 1rem; } .charts svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } td.why { white-space: normal; min-width: 14rem; text-align: left; color: var(--soft); }
#plan td:nth-child(2) { text-align: left; font-weight: 600; white-space: normal; }
svg text { fill: var(--soft); } svg .bar { fill: var(--accent); fill-opacity: .75; } svg .line { stroke: var(--line); }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto; }
"""


@dataclass(frozen=True)
class Histogram:
    """Numbers to be shown as bars; ``unit`` stands under them."""

    title: str
    unit: str
    values: Sequence[float]


@dataclass(frozen=True)
class BoneRow:
    """One bone; ``areas`` are percentiles 5, 50 and 95 in px, None where no label draws it."""

    title: str
    colour: str
    drawn: int
    judged: int
    areas: tuple[float, float, float] | None


@dataclass(frozen=True)
class DataSetPage:
    """Everything the page shows. ``tiles``: (number, what); ``overlaps``: (bones, pictures, share of the smaller);
    ``pictures``: (caption, JPEG); ``plan``: (setting, value, reason); ``recipe``: the run file."""

    title: str
    tiles: Sequence[tuple[str, str]]
    facts: Mapping[str, str]
    histograms: Sequence[Histogram]
    bones: Sequence[BoneRow]
    overlaps: Sequence[tuple[str, int, float]]
    pictures: Sequence[tuple[str, bytes]]
    plan: Sequence[tuple[str, str, str]]
    recipe: str
    notes: Sequence[str] = ()


def write_data_set_page(path: str | Path, content: DataSetPage) -> None:
    """Write the page. Raises OutputError when it cannot be written."""
    write_text(path, page(content.title, _body(content), asset("evaluation.css") + _STYLE))


def _body(content: DataSetPage) -> str:
    tiles = "".join(f"<div class=tile><b>{escape(n)}</b><span>{escape(w)}</span></div>" for n, w in content.tiles)
    facts = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in content.facts.items())
    charts = "".join(histogram(one) for one in content.histograms if one.values)
    shown = "".join(
        f'<figure><img src="{data_uri(jpeg)}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, jpeg in content.pictures
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in content.notes)
    parts = [
        f"<h1>{escape(content.title)}</h1>",
        f"<div class=tiles>{tiles}</div><dl class=facts>{facts}</dl>",
        f"<h2>Distributions</h2><div class=charts>{charts}</div>" if charts else "",
        f"<h2>Pictures</h2><div class=cases>{shown}</div>" if shown else "",
        f"<h2>Bones</h2>{_bones(content.bones)}",
        f"<h2>Bones that overlap</h2>{_overlaps(content.overlaps)}" if content.overlaps else "",
        f"<h2>Training that is proposed</h2>{_plan(content)}" if content.plan else "",
        f"<h2>Problems</h2><ul class=notes>{notes}</ul>" if notes else "",
    ]
    return "\n".join(part for part in parts if part)


def _bones(rows: Sequence[BoneRow]) -> str:
    most = max((row.areas[2] for row in rows if row.areas is not None), default=1.0)
    cells = []
    for row in rows:
        name = f'<td><i style="background:{escape(row.colour)}"></i>{escape(row.title)}</td>'
        if row.areas is None:
            cells.append(f"<tr>{name}<td>{row.drawn}<td>{row.judged}<td class=soft>-<td></tr>")
            continue
        low, middle, high = (width / most * 220 for width in row.areas)
        bar = (
            '<svg width="220" height="12" role="img">'
            f'<rect class="bar" x="{low:.1f}" y="3" width="{max(1.0, high - low):.1f}" height="6"/>'
            f'<rect x="{middle:.1f}" y="1" width="2" height="10"/></svg>'
        )
        cells.append(f"<tr>{name}<td>{row.drawn}<td>{row.judged}<td>{row.areas[1]:,.0f} px<td>{bar}</tr>")
    head = "<tr><th>bone<th>drawn<th>judged<th>median area<th>5th to 95th percentile</tr>"
    return f"<div class=wide><table>{head}{''.join(cells)}</table></div>"


def _overlaps(rows: Sequence[tuple[str, int, float]]) -> str:
    cells = "".join(f"<tr><td>{escape(b)}<td>{n}<td>{share:.0%}</tr>" for b, n, share in rows)
    head = "<tr><th>bones<th>pictures<th>of the smaller bone, median</tr>"
    return f"<div class=wide><table>{head}{cells}</table></div>"


def _plan(content: DataSetPage) -> str:
    rows = "".join(f"<tr><td>{escape(k)}<td>{escape(v)}<td class=why>{escape(why)}</tr>" for k, v, why in content.plan)
    return (
        f"<div class=wide><table id=plan><tr><th>setting<th>value<th>why</tr>{rows}</table></div>"
        f"<details><summary>The run file</summary><pre>{escape(content.recipe)}</pre></details>"
    )


def histogram(one: Histogram, size: tuple[int, int] = (340, 190)) -> str:
    """Bars as inline SVG; the page's style colours them."""
    width, height = size
    left, right, top, bottom = 10, 10, 28, 36
    low, high = min(one.values), max(one.values)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts = [0] * _BARS
    for value in one.values:
        counts[min(_BARS - 1, int((value - low) / (high - low) * _BARS))] += 1
    step = (width - left - right) / _BARS
    scale = (height - top - bottom) / max(counts)
    bars = "".join(
        f'<rect class="bar" x="{left + k * step + 0.5:.1f}" y="{height - bottom - n * scale:.1f}" '
        f'width="{step - 1:.1f}" height="{n * scale:.1f}"/>'
        for k, n in enumerate(counts)
        if n
    )
    middle = sorted(one.values)[len(one.values) // 2]
    base = height - bottom
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="{escape(one.title)}">'
        f'<text x="{left}" y="18" font-size="13" font-weight="600">{escape(one.title)}</text>'
        f'<text x="{width - right}" y="18" text-anchor="end">median {_short(middle)}, n = {len(one.values)}</text>'
        f"{bars}"
        f'<line class="line" x1="{left}" x2="{width - right}" y1="{base}" y2="{base}"/>'
        f'<text x="{left}" y="{base + 14}">{_short(low)}</text>'
        f'<text x="{width - right}" y="{base + 14}" text-anchor="end">{_short(high)}</text>'
        f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">{escape(one.unit)}</text></svg>'
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or math.isclose(value, round(value)) else f"{value:.3g}"
