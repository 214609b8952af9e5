"""One page on a whole contest: what each step gained on the test set and out of fold, bone by bone, and its cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ossa.pages.page import escape, page
from ossa.pages.run import COLOURS, Curves, chart, ticks
from ossa.safety import write_text

NAN = float("nan")


@dataclass(frozen=True)
class Step:
    """One step of a contest, in the order in which they follow on each other.

    ``test``: mean Dice on the test set, ``held_out``: out of fold on the training set; None where it was not measured.
    ``per_bone``: bone -> Dice on the test set, or out of fold where there is no truth. ``seconds`` of processor time;
    ``kept``: whether the next steps and the submission build on it; ``note``: a sentence.
    """

    name: str
    title: str
    test: float | None = None
    held_out: float | None = None
    per_bone: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    kept: bool = True
    note: str = ""


@dataclass(frozen=True)
class Alarm:
    """A training picture that the audit would look at: ``planted`` is the mistake in its label, as far as known."""

    image: str
    found: str
    planted: str = ""


def write_contest(
    path: Path,
    title: str,
    steps: Sequence[Step],
    *,
    facts: Mapping[str, str],
    bones: Mapping[str, str],
    alarms: Sequence[Alarm] = (),
    missed: Sequence[str] = (),
    curves: Sequence[tuple[str, Curves]] = (),
    work: Sequence[tuple[str, float]] = (),
) -> None:
    """Write the page: one file without scripts.

    ``facts``: lines of what was done (what -> value). ``bones``: name -> title, in the order of the table. ``missed``:
    wrong labels that the audit passed. ``curves`` of each run. ``work``: what else took how many seconds of
    processor time.
    """
    best = _score(steps[-1]) if steps else NAN
    last = next((s for s in reversed(steps) if s.kept), None)
    told = _score(last) if last is not None else best
    judged = "on the test set" if last is not None and last.test is not None else "out of fold"
    parts = [
        f"<header><h1>{escape(title)}</h1><p class=big>{told:.4f}</p>",
        f"<p class=muted>mean Dice of the submission {judged}, over all pictures and bones at their own size</p>",
        "</header>",
        f"<h2>What each step gained</h2>{_ladder(steps)}{_gains(steps)}",
        f"<h2>Bones</h2><div class=wide>{_bone_table(steps, bones)}</div>",
        f"<h2>Labels that the audit would look at</h2>{_alarms(alarms, missed)}",
    ]
    if curves:
        lines = [(name, c.get("val/dice")) for name, c in curves]
        losses = [(name, c.get("train/loss_epoch")) for name, c in curves]
        drawn = chart("Validation Dice by epoch", lines) + chart("Training loss by epoch", losses)
        parts.append(f"<h2>Training</h2><div class=charts>{drawn}</div>")
    parts.append(f"<h2>Processor time</h2>{_work(steps, work)}")
    rows = "".join(f"<dt>{escape(what)}</dt><dd>{escape(value)}</dd>" for what, value in facts.items())
    parts.append(f"<h2>How</h2><dl>{rows}</dl>")
    write_text(path, page(title, "\n".join(parts), _STYLE))


def _score(step: Step) -> float:
    value = step.test if step.test is not None else step.held_out
    return NAN if value is None else value


def _before(steps: Sequence[Step], i: int) -> Step | None:
    """The last step before ``i`` that the recipe kept."""
    return next((step for step in reversed(steps[:i]) if step.kept), None)


def _ladder(steps: Sequence[Step], width: int = 720, height: int = 250) -> str:
    """Dice by step as SVG: a line for the test set, one for the held-out pictures."""
    series = [
        ("test set", COLOURS[0], [s.test for s in steps]),
        ("out of fold", COLOURS[1], [s.held_out for s in steps]),
    ]
    values = [v for _, _, line in series for v in line if v is not None and math.isfinite(v)]
    if not values:
        return "<p class=muted>nothing was scored</p>"
    marks = ticks(min(values), max(values), 5)
    left, right, top, bottom = 66, 16, 26, 40
    inner = width - left - right

    def at(i: int, value: float) -> tuple[float, float]:
        x = left + inner * (i + 0.5) / len(steps)
        return x, height - bottom - (value - marks[0]) / (marks[-1] - marks[0]) * (height - top - bottom)

    parts = [f'<svg class=ladder viewBox="0 0 {width} {height}" role="img" aria-label="Dice by step">']
    for mark in marks:
        y = at(0, mark)[1]
        parts.append(f'<line x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>')
    for i, step in enumerate(steps):
        parts.append(
            f'<text x="{at(i, marks[0])[0]:.1f}" y="{height - 18}" text-anchor="middle">{escape(step.name)}</text>'
        )
    for k, (name, colour, line) in enumerate(series):
        points = [(*at(i, v), v) for i, v in enumerate(line) if v is not None and math.isfinite(v)]
        if not points:
            continue
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y, _ in points]
        parts.append(f'<text x="{left + 120 * k}" y="14" fill="{colour}" font-weight="600">{name}</text>')
    return "".join([*parts, "</svg>"])


def _gains(steps: Sequence[Step]) -> str:
    gains = [_score(s) - _score(b) if (b := _before(steps, i)) is not None else NAN for i, s in enumerate(steps)]
    largest = max([abs(g) for g in gains if math.isfinite(g)], default=0.0) or 1.0
    rows = []
    for step, gain in zip(steps, gains, strict=True):
        rows.append(
            f"<tr{'' if step.kept else ' class=left'}><th scope=row>{escape(step.title)}"
            f"{'' if step.kept else ' <em>not kept</em>'}<small>{escape(step.note)}</small></th>"
            f"<td>{_number(step.test)}</td><td>{_number(step.held_out)}</td>"
            f"<td>{'' if math.isnan(gain) else f'{gain:+.4f}'}</td><td class=barcell>{_bar(gain, largest)}</td></tr>"
        )
    heads = "<th scope=col>step</th><th>test set</th><th>out of fold</th><th>gain</th><th class=barcell></th>"
    return f"<div class=wide><table class=steps><tr class=head>{heads}</tr>{''.join(rows)}</table></div>"


def _bar(gain: float, largest: float) -> str:
    """A bar from the middle: to the right for a gain, to the left for a loss."""
    if math.isnan(gain):
        return ""
    share = 50 * min(1.0, abs(gain) / largest)
    start, colour = (50.0, COLOURS[2]) if gain >= 0 else (50.0 - share, COLOURS[1])
    return f'<span class=gain><i style="left:{start:.1f}%;width:{max(share, 0.6):.1f}%;background:{colour}"></i></span>'


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4f}"


def _bone_table(steps: Sequence[Step], bones: Mapping[str, str]) -> str:
    """Dice per bone at every step, coloured by what the step gained or lost."""
    shown = [step for step in steps if step.per_bone]
    if not shown:
        return "<p class=muted>no bone was scored</p>"
    rows = []
    for bone, title in bones.items():
        cells = []
        for i, step in enumerate(shown):
            value = step.per_bone.get(bone, NAN)
            before = _before(shown, i)
            cells.append(_cell(value, value - (before.per_bone.get(bone, NAN) if before is not None else NAN)))
        first, last = shown[0].per_bone.get(bone, NAN), shown[-1].per_bone.get(bone, NAN)
        change = "" if math.isnan(last - first) else f"{last - first:+.4f}"
        rows.append(f"<tr><th scope=row>{escape(title)}</th>{''.join(cells)}<td>{change}</td></tr>")
    heads = "".join(f"<th>{escape(step.name)}</th>" for step in shown)
    return (
        f"<table class=bones><tr class=head><th scope=col>bone</th>{heads}<th>in all</th></tr>{''.join(rows)}</table>"
    )


def _cell(value: float, gain: float) -> str:
    if math.isnan(value):
        return "<td></td>"
    strength = 0.0 if math.isnan(gain) else min(0.55, abs(gain) / 0.02 * 0.55)
    colour = "0,158,115" if gain > 0 else "213,94,0"
    style = f' style="background:rgba({colour},{strength:.2f})"' if strength >= 0.03 else ""
    return f"<td{style}>{value:.4f}</td>"


def _alarms(alarms: Sequence[Alarm], missed: Sequence[str]) -> str:
    if not alarms and not missed:
        return "<p class=muted>none</p>"
    rows = "".join(
        f"<tr><th scope=row>{escape(a.image)}</th><td>{escape(a.planted or 'nothing known')}</td>"
        f"<td>{escape(a.found)}</td></tr>"
        for a in alarms
    )
    lost = f"<p>Wrong labels that were not found: {escape(', '.join(missed))}</p>" if missed else ""
    heads = "<th scope=col>picture</th><th>planted</th><th>what the audit says</th>"
    return f"<div class=wide><table class=alarms><tr class=head>{heads}</tr>{rows}</table></div>{lost}"


def _work(steps: Sequence[Step], work: Sequence[tuple[str, float]]) -> str:
    lines = [*work, *((step.title, step.seconds) for step in steps if step.seconds)]
    whole = sum(seconds for _, seconds in lines)
    largest = max((seconds for _, seconds in lines), default=0.0) or 1.0
    rows = "".join(
        f"<tr><th scope=row>{escape(what)}</th><td>{_minutes(seconds)}</td>"
        f'<td class=barcell><span class=time><i style="width:{100 * seconds / largest:.1f}%"></i></span></td></tr>'
        for what, seconds in lines
    )
    return f"<table class=steps>{rows}<tr><th scope=row>in all</th><td>{_minutes(whole)}</td><td></td></tr></table>"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:980px;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:1.8rem 0 .5rem}.big{font-size:2.4rem;font-weight:650;margin:0}
.muted{color:#666;margin:0}.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
td,th{padding:.2rem .7rem .2rem 0;text-align:right;font-variant-numeric:tabular-nums;font-weight:400}
tr.head th{color:#666;font-size:.8rem;vertical-align:bottom}th[scope]{text-align:left;font-weight:500}
th small{display:block;color:#666;font-weight:400;line-height:1.35;max-width:26rem}
th em{color:#a33;font-style:normal;font-size:.8rem}
table.steps{width:100%}.steps td,.steps tr.head th{white-space:nowrap}.barcell{width:34%;min-width:90px}
.gain,.time{display:block;position:relative;height:.85rem;background:#f1f4f7}
.gain:before{content:"";position:absolute;left:50%;top:-.2rem;bottom:-.2rem;border-left:1px solid #9aa}
.gain i,.time i{position:absolute;top:0;bottom:0;display:block}.time i{left:0;background:#0072b2}
.bones td{padding:.12rem .5rem}.bones th[scope]{position:sticky;left:0;background:#fff;white-space:nowrap}
.alarms td,.alarms th{text-align:left;vertical-align:top}.alarms td{min-width:7rem}tr.left{color:#888}
svg{max-width:100%;height:auto;font:11px system-ui,sans-serif}.ladder{width:100%}.ladder text{font-size:12px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}
dt{color:#666}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:560px){body{font-size:14px}.ladder text{font-size:18px}table{font-size:.8rem}
td,th{padding-right:.4rem}tr.head th{font-size:.72rem}.barcell{width:14%;min-width:44px}
.steps th[scope=row]{min-width:8.2rem}.bones td{padding:.1rem .2rem}
.bones th[scope]{white-space:normal;min-width:5.6rem}
.alarms tr{display:block;padding:.3rem 0;border-bottom:1px solid #eee}.alarms tr.head{display:none}
.alarms th,.alarms td{display:block;padding:0}dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
"""
