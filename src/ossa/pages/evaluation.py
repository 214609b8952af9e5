"""One page that says how good predictions are: intervals, bones, thresholds, the worst cases as pictures.

Score tables and pictures of the worst cases come in; one HTML file that holds everything itself
comes out, with the same numbers as CSV and JSON beside it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.pages.page import asset, data_uri, escape, page
from ossa.radiograph.display import for_the_eye, jpeg
from ossa.safety import write_json, write_text
from ossa.schema import BoneSchema
from ossa.segmentation.scores import Interval, Scores, bootstrap
from ossa.segmentation.segmentation import Region

#: Metric -> heading, digits, and what it is, for the reader of the page.
METRICS = {
    "dice": ("Dice", 4, "2 |A∩B| / (|A| + |B|) with the competition's 1e-4; 1 where both are empty."),
    "surface_dice": ("NSD", 3, "Share of both borders that lies within the tolerance of the other one."),
    "hd95": ("HD95", 2, "95th percentile of the distances between the borders; lower is better."),
    "overlap_dice": ("overlap Dice", 3, "Dice inside the area where truth or prediction has two bones or more."),
    "iou": ("IoU", 4, "|A∩B| / |A∪B|."),
}


@dataclass(frozen=True)
class WorstCase:
    """One bone of one picture: its scores and a JPEG of the place."""

    image: str
    bone: str
    scores: Mapping[str, float]
    picture: bytes | None


@dataclass(frozen=True, eq=False)
class ThresholdTable:
    """Mean Dice per bone (T, C) at ``thresholds`` (T), from stored probabilities; ``means`` (T,) over all pairs."""

    thresholds: tuple[float, ...]
    dice: NDArray[np.float64]
    means: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EvaluationPage:
    """Everything the page shows. ``facts`` are name -> value pairs for its head, ``notes`` sentences below them."""

    title: str
    schema: BoneSchema
    scores: Scores
    unit: str
    tolerance: float
    predicted: NDArray[np.bool_]
    annotated: NDArray[np.bool_]
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    worst: Sequence[WorstCase] = ()
    thresholds: ThresholdTable | None = None


def write_evaluation(folder: str | Path, content: EvaluationPage) -> Path:
    """Write evaluation.html, per_bone.csv, scores.csv and figures.json into ``folder``; give the page's path."""
    root = Path(folder)
    intervals = {m: bootstrap(content.scores.values[m], content.scores.subjects) for m in content.scores.metrics}
    write_text(root / "per_bone.csv", _per_bone_csv(content, intervals))
    write_text(root / "scores.csv", _scores_csv(content.scores))
    write_json(root / "figures.json", _figures(content, intervals))
    body = "\n".join(
        (
            f"<h1>{escape(content.title)}</h1>",
            _facts(content),
            _headline(content, intervals),
            _bones(content, intervals),
            _thresholds(content),
            _worst(content),
            _method(content),
        )
    )
    path = root / "evaluation.html"
    write_text(path, page(content.title, body, asset("evaluation.css"), (asset("evaluation.js"),)))
    return path


Intervals = Mapping[str, tuple[list[Interval], Interval]]


def missed_and_extra(content: EvaluationPage) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per bone (C,): pictures in which only the truth has it, and in which only the prediction has it."""
    known = np.isfinite(content.scores.values["dice"])
    missed = (content.annotated & ~content.predicted & known).sum(axis=0)
    extra = (content.predicted & ~content.annotated & known).sum(axis=0)
    return missed, extra


def number(value: float, digits: int = 4) -> str:
    """A number for a table; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:.{digits}f}"


# Tables ---------------------------------------------------------------------------------------


def _per_bone_csv(content: EvaluationPage, intervals: Intervals) -> str:
    missed, extra = missed_and_extra(content)
    scored = np.isfinite(content.scores.values["dice"]).sum(axis=0)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = [f"{m}{suffix}" for m in content.scores.metrics for suffix in ("", "_low", "_high")]
    writer.writerow(["bone", "title", "images", "missed", "extra", *heads])
    for i, bone in enumerate(content.schema.bones):
        row = [x for m in content.scores.metrics for x in _triple(intervals[m][0][i])]
        writer.writerow([bone.name, bone.title, int(scored[i]), int(missed[i]), int(extra[i]), *row])
    overall = [x for m in content.scores.metrics for x in _triple(intervals[m][1])]
    writer.writerow(["mean", "", len(content.scores.images), int(missed.sum()), int(extra.sum()), *overall])
    return stream.getvalue()


def _triple(interval: Interval) -> tuple[str, str, str]:
    low, mean, high = interval.low, interval.mean, interval.high
    return tuple("" if math.isnan(x) else f"{x:.6f}" for x in (mean, low, high))  # type: ignore[return-value]


def _scores_csv(scores: Scores) -> str:
    """One row per picture and bone."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["image", "subject", "bone", *scores.metrics])
    for i, (image, subject) in enumerate(zip(scores.images, scores.subjects, strict=True)):
        for b, bone in enumerate(scores.bones):
            values = [float(scores.values[m][i, b]) for m in scores.metrics]
            writer.writerow([image, subject, bone, *("" if math.isnan(v) else f"{v:.6g}" for v in values)])
    return stream.getvalue()


def _figures(content: EvaluationPage, intervals: Intervals) -> dict[str, Any]:
    def plain(interval: Interval) -> dict[str, float | None]:
        values = {"mean": interval.mean, "low": interval.low, "high": interval.high}
        return {k: v if math.isfinite(v) else None for k, v in values.items()}

    missed, extra = missed_and_extra(content)
    out: dict[str, Any] = {
        "title": content.title,
        "images": len(content.scores.images),
        "subjects": len(set(content.scores.subjects)),
        "unit": content.unit,
        "tolerance": content.tolerance,
        "facts": dict(content.facts),
        "notes": list(content.notes),
        "overall": {m: plain(intervals[m][1]) for m in content.scores.metrics},
        "per_bone": {
            bone: {m: plain(intervals[m][0][i]) for m in content.scores.metrics}
            | {"missed": int(missed[i]), "extra": int(extra[i])}
            for i, bone in enumerate(content.scores.bones)
        },
    }
    if content.thresholds is not None:
        table = content.thresholds
        out["dice_at_threshold"] = {
            f"{t:g}": {b: None if math.isnan(v) else v for b, v in zip(content.scores.bones, row.tolist(), strict=True)}
            for t, row in zip(table.thresholds, table.dice, strict=True)
        }
    return out


# The page -------------------------------------------------------------------------------------


def _facts(content: EvaluationPage) -> str:
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in content.facts.items())
    notes = "".join(f"<li>{escape(note)}</li>" for note in content.notes)
    return f"<dl class=facts>{rows}</dl>" + (f"<ul class=notes>{notes}</ul>" if notes else "")


def _head(metric: str, content: EvaluationPage) -> str:
    name = METRICS[metric][0]
    if metric == "surface_dice":
        return f"{name} at {content.tolerance:g} {content.unit}"
    return f"{name}, {content.unit}" if metric == "hd95" else name


def _headline(content: EvaluationPage, intervals: Intervals) -> str:
    tiles = []
    for metric in content.scores.metrics:
        overall = intervals[metric][1]
        digits = METRICS[metric][1]
        infinite = content.scores.infinite(metric)
        more = f"<small>{infinite} bones on one side only, left out</small>" if infinite else ""
        tiles.append(
            f"<div class=tile><span>{escape(_head(metric, content))}</span><b>{number(overall.mean, digits)}</b>"
            f"<small>95 % interval {number(overall.low, digits)} to {number(overall.high, digits)}</small>{more}</div>"
        )
    return f"<div class=tiles>{''.join(tiles)}</div>"


def _bones(content: EvaluationPage, intervals: Intervals) -> str:
    missed, extra = missed_and_extra(content)
    heads = "".join(f"<th data-sort=number>{escape(_head(m, content))}</th>" for m in content.scores.metrics)
    rows = []
    for i, bone in enumerate(content.schema.bones):
        cells = []
        for metric in content.scores.metrics:
            interval, digits = intervals[metric][0][i], METRICS[metric][1]
            span = f"{number(interval.low, digits)} to {number(interval.high, digits)}"
            value = "" if math.isnan(interval.mean) else f"{interval.mean:.6f}"
            shown = number(interval.mean, digits)
            cells.append(f'<td data-value="{value}" title="95 % interval {span}">{shown}</td>')
        r, g, b = bone.colour
        rows.append(
            f'<tr><td><i style="background:rgb({r},{g},{b})"></i>{escape(bone.name)}</td>'
            f"<td class=soft>{escape(bone.title)}</td>{''.join(cells)}"
            f'<td data-value="{missed[i]}">{missed[i] or ""}</td><td data-value="{extra[i]}">{extra[i] or ""}</td>'
            f"<td>{_strip(content.scores.values['dice'][:, i], intervals['dice'][0][i])}</td></tr>"
        )
    return (
        "<h2>Bones</h2><p class=soft>A click on a heading sorts. Dots: Dice of every picture from 0.5 to 1 "
        "(lower ones at the left edge); bar: the mean's 95 % interval.</p>"
        f"<table id=bones><thead><tr><th data-sort=text>bone</th><th data-sort=text>name</th>{heads}"
        "<th data-sort=number>missed</th><th data-sort=number>extra</th><th>Dice of every picture</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


#: At most so many dots are drawn per bone; more would only make the page heavy.
_DOTS = 250


def _strip(values: NDArray[np.float64], interval: Interval) -> str:
    """An inline SVG of all pictures' Dice values and the interval of their mean."""
    width, height, low = 220, 16, 0.5
    finite = np.sort(values[np.isfinite(values)])
    if finite.size == 0:
        return ""
    if finite.size > _DOTS:  # the worst ones are what one looks for; the rest is thinned evenly
        worst, rest = finite[: _DOTS // 2], finite[_DOTS // 2 :]
        finite = np.concatenate([worst, rest[np.linspace(0, rest.size - 1, _DOTS - worst.size).astype(int)]])

    def x(value: float) -> float:
        return round(2 + (max(value, low) - low) / (1 - low) * (width - 4), 1)

    dots = "".join(f'<circle cx="{x(v)}" cy="8" r="1.6"/>' for v in finite.tolist())
    bar = ""
    if not math.isnan(interval.low):
        left, right = x(interval.low), x(interval.high)
        bar = f'<rect x="{left}" y="2" width="{max(1.0, right - left):.1f}" height="12" rx="2"/>'
    return f'<svg width="{width}" height="{height}" role="img" aria-label="distribution">{bar}{dots}</svg>'


def _thresholds(content: EvaluationPage) -> str:
    table = content.thresholds
    if table is None:
        return ""
    heads = "".join(f"<th>{t:g}</th>" for t in table.thresholds)
    rows = []
    for i, bone in enumerate(content.schema.bones):
        values = table.dice[:, i]
        best = int(np.nanargmax(values)) if np.isfinite(values).any() else -1
        mark = [" class=best" if k == best else "" for k in range(len(values))]
        cells = "".join(f"<td{m}>{number(v)}</td>" for m, v in zip(mark, values.tolist(), strict=True))
        rows.append(f"<tr><td>{escape(bone.name)}</td>{cells}</tr>")
    total = "".join(f"<td>{number(v)}</td>" for v in table.means.tolist())
    return (
        "<h2>Dice at several thresholds</h2><p class=soft>From stored probabilities. Choosing the best column here and "
        "reporting its number would be too kind: <code>ossa calibrate</code> fits and judges on different subjects.</p>"
        f"<table><thead><tr><th>bone</th>{heads}</tr></thead><tbody>{''.join(rows)}"
        f"<tr class=total><td>mean</td>{total}</tr></tbody></table>"
    )


def _worst(content: EvaluationPage) -> str:
    if not content.worst:
        return ""
    figures = []
    for case in content.worst:
        numbers = ", ".join(f"{METRICS[m][0]} {number(v, METRICS[m][1])}" for m, v in case.scores.items())
        picture = f'<img alt="" src="{data_uri(case.picture)}">' if case.picture else "<p class=none>no picture</p>"
        figures.append(
            f"<figure>{picture}<figcaption><b>{escape(case.bone)}</b> {escape(numbers)}<br>"
            f"<span class=soft>{escape(case.image)}</span></figcaption></figure>"
        )
    return (
        "<h2>Worst cases</h2><p class=soft>Lowest Dice first. White: truth; colour: prediction; "
        f"blue: missed; red: too much.</p><div class=cases>{''.join(figures)}</div>"
    )


def _method(content: EvaluationPage) -> str:
    rows = "".join(f"<dt>{escape(METRICS[m][0])}</dt><dd>{escape(METRICS[m][2])}</dd>" for m in content.scores.metrics)
    return (
        f"<h2>How the numbers are made</h2><dl class=facts>{rows}<dt>interval</dt><dd>Percentile bootstrap: "
        "2,000 draws of subjects with replacement, all pictures of a subject together.</dd>"
        "<dt>mean</dt><dd>Over all pictures and bones that are annotated.</dd></dl>"
    )


def case_picture(
    grey: NDArray[Any], truth: Region | None, predicted: Region | None, colour: tuple[int, int, int], side: int = 320
) -> bytes | None:
    """A JPEG of the place where truth and prediction of one bone lie; None when both are absent.

    ``grey`` (H, W) is the full picture. Missed pixels are tinted blue, surplus ones red, borders drawn over them.
    """
    import cv2

    regions = [r for r in (truth, predicted) if r is not None]
    if not regions:
        return None
    height, width = grey.shape
    top, bottom = min(r.top for r in regions), max(r.bottom for r in regions)
    left, right = min(r.left for r in regions), max(r.right for r in regions)
    half = max(bottom - top, right - left) * 0.5 * 1.35 + 8
    y, x = (top + bottom) / 2, (left + right) / 2
    y0, y1 = max(0, int(y - half)), min(height, int(y + half) + 1)
    x0, x1 = max(0, int(x - half)), min(width, int(x + half) + 1)
    scale = side / max(y1 - y0, x1 - x0)
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    crop = cv2.resize(for_the_eye(grey[y0:y1, x0:x1]), size, interpolation=method)
    tile = np.repeat(crop[..., None], 3, axis=2).astype(np.float32)
    masks = []
    for region in (truth, predicted):
        plane = np.zeros((y1 - y0, x1 - x0), np.uint8)
        if region is not None:
            plane[region.top - y0 : region.bottom - y0, region.left - x0 : region.right - x0] = region.mask
        masks.append(cv2.resize(plane * 255, size, interpolation=cv2.INTER_LINEAR) >= 128)
    for wrong, tint in ((masks[0] & ~masks[1], (47, 155, 255)), (masks[1] & ~masks[0], (255, 90, 54))):
        tile[wrong] = 0.55 * tile[wrong] + 0.45 * np.array(tint, np.float32)
    picture: NDArray[np.uint8] = np.ascontiguousarray(tile.astype(np.uint8))
    for mask, line in zip(masks, ((255, 255, 255), colour), strict=True):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, line, 1, cv2.LINE_AA)
    return jpeg(picture, 82)
