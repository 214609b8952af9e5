"""A run in pictures and on one page: curves as SVG, figures per fold and bone, config and provenance as HTML.

The curves are written as SVG here: a plotting library would be one more dependency for a few lines and axes, and its
output, with fonts turned into paths, could not be read or searched as text.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ossa.pages.page import escape, page
from ossa.safety import write_text

#: Colours of the folds' lines: Okabe and Ito's palette, told apart by the colour-blind.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curves:
    """What a fold's metrics.csv tells: column name -> (epoch or step, value) in order."""

    series: Mapping[str, Points] = field(default_factory=dict)

    def get(self, name: str) -> Points:
        """The points of a column, none when there is no such column."""
        return list(self.series.get(name, ()))


def read_curves(folder: Path) -> Curves:
    """The columns of a fold's metrics.csv by epoch, the loss of a step by step; none where there is no such file."""
    found: dict[str, dict[float, float]] = {}
    path = folder / "metrics.csv"
    for row in _rows(path) if path.is_file() else ():
        for name, text in row.items():
            if name is None or name in ("epoch", "step") or not text:
                continue
            place = row["step"] if name == "train/loss_step" else row["epoch"]
            try:
                found.setdefault(name, {})[float(place)] = float(text)
            except (TypeError, ValueError):
                continue
    return Curves({name: sorted(points.items()) for name, points in found.items()})


def mean_curves(several: Sequence[Curves]) -> Curves:
    """The mean of several folds' curves, at every epoch or step that any of them has."""
    out: dict[str, Points] = {}
    for name in dict.fromkeys(name for curves in several for name in curves.series):
        at: dict[float, list[float]] = {}
        for x, y in (point for curves in several for point in curves.get(name)):
            at.setdefault(x, []).append(y)
        out[name] = [(x, sum(ys) / len(ys)) for x, ys in sorted(at.items())]
    return Curves(out)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def chart(title: str, lines: Sequence[tuple[str, Points]], *, size: tuple[int, int] = (460, 260)) -> str:
    """A line chart as SVG text; ``lines`` are (name, points). Points that are not finite are left out."""
    width, height = size
    left, right, top, bottom = 52, 12, 30, 34
    points = [p for _, line in lines for p in line if math.isfinite(p[0]) and math.isfinite(p[1])]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="18" font-size="13" font-weight="600" fill="#222">{escape(title)}</text>',
    ]
    if not points:
        parts.append(
            f'<text x="{width / 2}" y="{height / 2}" text-anchor="middle" fill="#777">nothing yet</text></svg>'
        )
        return "\n".join(parts)
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 6), ticks(min(ys), max(ys), 5)
    x0, x1, y0, y1 = x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1]

    def at(x: float, y: float) -> str:
        across = left + (x - x0) / (x1 - x0) * (width - left - right)
        down = height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom)
        return f"{across:.1f},{down:.1f}"

    for value in y_ticks:
        x, y = at(x0, value).split(",")
        parts.append(f'<line x1="{x}" y1="{y}" x2="{width - right}" y2="{y}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left - 6}" y="{float(y) + 4:.1f}" text-anchor="end" fill="#555">{value:g}</text>')
    for value in x_ticks:
        x, y = at(value, y0).split(",")
        parts.append(f'<text x="{x}" y="{float(y) + 16:.1f}" text-anchor="middle" fill="#555">{value:g}</text>')
    for number, (name, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        good = [p for p in line if math.isfinite(p[1])]
        if not good:
            continue
        path = " ".join(at(*p) for p in good)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        if len(good) < 60:
            parts += [
                f'<circle cx="{q.split(",")[0]}" cy="{q.split(",")[1]}" r="2" fill="{colour}"/>' for q in path.split()
            ]
        if len(lines) > 1:
            short = name if len(lines) <= 4 else name.split()[-1]
            place = width - right - (62 if len(lines) <= 4 else 24) * (len(lines) - number - 1)
            parts.append(f'<text x="{place}" y="18" text-anchor="end" fill="{colour}">{escape(short)}</text>')
    parts.append("</svg>")
    return "\n".join(parts)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from at most ``low`` to at least ``high``, about ``count`` of them, at least two."""
    if high <= low:
        span = abs(low) if low else 1.0
        low, high = low - span / 10, high + span / 10
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = 2 - math.floor(math.log10(step))
    return [round(i * step, digits) for i in range(first, max(last, first + 1) + 1)]


@dataclass(frozen=True)
class FoldFigures:
    """What the summary says of a fold; ``epoch``, from 1, is that of its best validation."""

    name: str
    dice: float
    epoch: int
    per_bone: Mapping[str, float]
    curves: Curves
    bundle: str | None = None


def write_curves(path: Path, folds: Sequence[FoldFigures]) -> None:
    """One SVG with training loss and validation Dice of all folds, side by side."""
    loss = chart("Training loss by epoch", [(f.name, f.curves.get("train/loss_epoch")) for f in folds])
    score = chart("Validation Dice by epoch", [(f.name, f.curves.get("val/dice")) for f in folds])
    inner = [loss, score.replace("<svg ", '<svg x="470" ', 1)]
    write_text(path, f'<svg xmlns="http://www.w3.org/2000/svg" width="930" height="260">{"".join(inner)}</svg>\n')


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:980px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:1.8rem 0 .4rem}
.big{font-size:2.2rem;font-weight:650}.muted{color:#666}
table{border-collapse:collapse;font-size:.9rem}td,th{padding:.15rem .7rem .15rem 0;text-align:right}
td:first-child,th:first-child{text-align:left}.bar{background:#e8eef4;width:220px;height:.8rem;display:inline-block}
.bar i{background:#0072b2;height:.8rem;display:block}pre{background:#f6f6f6;padding:.8rem;overflow:auto;font-size:.8rem}
.charts svg{margin-right:8px}
"""


def write_summary(
    path: Path,
    title: str,
    folds: Sequence[FoldFigures],
    config: str,
    provenance: Mapping[str, Any],
    notes: Sequence[str],
) -> None:
    """One self-contained HTML page: no script, no other file."""
    mean = sum(f.dice for f in folds) / len(folds) if folds else float("nan")
    bones = list(folds[0].per_bone) if folds else []
    charts = [
        chart("Training loss by epoch", [(f.name, f.curves.get("train/loss_epoch")) for f in folds]),
        chart("Validation Dice by epoch", [(f.name, f.curves.get("val/dice")) for f in folds]),
        chart("Learning rate by epoch", [(f.name, f.curves.get("lr")) for f in folds], size=(460, 200)),
        chart("Training loss by step", [(f.name, f.curves.get("train/loss_step")) for f in folds], size=(460, 200)),
    ]
    rows = "".join(
        f"<tr><td>{escape(f.name)}</td><td>{f.dice:.4f}</td><td>{f.epoch}</td><td>{escape(f.bundle or '')}</td></tr>"
        for f in folds
    )
    bone_rows = "".join(_bone_row(bone, [f.per_bone.get(bone, float("nan")) for f in folds]) for bone in bones)
    heads = "".join(f"<th>{escape(f.name)}</th>" for f in folds)
    latest = provenance["runs"][-1]
    told = [
        f"started {latest['started']}",
        ", ".join(f"{name} {number}" for name, number in latest["versions"].items()),
        f"git {latest['git']['commit'][:12]} ({latest['git']['changed']} files changed)" if latest["git"] else "no git",
        f"data {latest['data']['sha256'][:12]}",
        f"{len(provenance['runs'])} start(s)",
    ]
    parts = [
        f"<h1>{escape(title)}</h1><p class=big>{mean:.4f}</p>",
        "<p class=muted>mean validation Dice of the best epoch of each fold, at the pictures' own size</p>",
        "".join(f"<p>{escape(note)}</p>" for note in notes),
        f"<h2>Curves</h2><div class=charts>{''.join(charts)}</div>",
        f"<h2>Folds</h2><table><tr><th>fold</th><th>Dice</th><th>best epoch</th><th>model</th></tr>{rows}</table>",
        "<h2>Bones, held-out pictures</h2>",
        f"<table><tr><th>bone</th><th>mean</th><th></th>{heads}</tr>{bone_rows}</table>",
        f"<h2>Provenance</h2><p class=muted>{'<br>'.join(escape(line) for line in told)}</p>",
        f"<h2>Config</h2><pre>{escape(config)}</pre>",
    ]
    write_text(path, page(title, "\n".join(parts), _STYLE))


def _bone_row(bone: str, values: Sequence[float]) -> str:
    good = [v for v in values if math.isfinite(v)]
    if not good:
        return f"<tr><td>{escape(bone)}</td><td class=muted>not annotated</td></tr>"
    mean = sum(good) / len(good)
    cells = "".join(f"<td>{v:.4f}</td>" if math.isfinite(v) else "<td></td>" for v in values)
    bar = f'<span class=bar><i style="width:{max(0.0, min(1.0, mean)) * 100:.1f}%"></i></span>'
    return f"<tr><td>{escape(bone)}</td><td>{mean:.4f}</td><td>{bar}</td>{cells}</tr>"
