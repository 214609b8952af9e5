"""Plants small faults, one at a time, and asks the tests whether they notice: python scripts/plant_faults.py [NAME ...]

Every fault is one exact text of a file and what stands there instead. The repository is copied once to a temporary
folder, so that nothing happens to the original. A fault whose tests still pass is a test that is missing. Exit 1 then,
or when a text is no longer found (the code has moved on: mend the entry).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Fault(NamedTuple):
    """``old`` becomes ``new`` in ``file`` below src/ossa; ``tests`` below tests/ should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


FAULTS = (
    # run lengths
    Fault("rle-one-based", "segmentation/rle.py", "runs.starts + 1", "runs.starts", "segmentation/test_rle.py"),
    Fault("rle-row", "segmentation/rle.py", "(rows + region.top) * width", "(rows + region.left) * width",
          "segmentation/test_rle.py"),
    Fault("rle-touching", "segmentation/rle.py", "runs.starts[1:] < ends[:-1]", "runs.starts[1:] < ends[:-1] - 1",
          "segmentation/test_rle.py"),
    Fault("rle-last-pixel", "segmentation/rle.py", "(ends > pixels,", "(ends > pixels + 1,",
          "segmentation/test_rle.py"),
    Fault("rle-bottom", "segmentation/rle.py", "np.divmod(ends - 1, width)", "np.divmod(ends, width)",
          "segmentation/test_rle.py"),
    Fault("vote-tie", "segmentation/runs.py", "levels[last] >= threshold", "levels[last] - 1e-6 >= threshold",
          "segmentation/test_runs.py"),
    Fault("vote-weights", "segmentation/runs.py", "for change in (weight, -weight)", "for change in (1.0, -1.0)",
          "segmentation/test_runs.py"),
    # decoding
    Fault("decode-centre", "segmentation/decode.py", "(np.arange(start, stop) + 0.5) * scale - 0.5",
          "(np.arange(start, stop) + 0.5) * scale - 0.4", "segmentation/test_decode.py"),
    Fault("decode-reach", "segmentation/decode.py", "math.floor((first - 0.5) / scale - 0.5)",
          "math.floor((first + 0.5) / scale - 0.5)", "segmentation/test_decode.py"),
    Fault("decode-threshold", "segmentation/decode.py", "math.log(probability / (1.0 - probability))",
          "math.log(probability / (1.0 - probability)) * 0.5", "segmentation/test_decode.py"),
    Fault("decode-confidence", "segmentation/decode.py", "box[box > limit]", "box[box > 0.0]",
          "segmentation/test_decode.py"),
    Fault("decode-axes", "segmentation/decode.py", "shape[1] / grid[1] * across[1]", "shape[1] / grid[1] * across[0]",
          "segmentation/test_decode.py"),
    # outlines and clean-up
    Fault("outline-hole", "segmentation/outlines.py",
          "cv2.polylines(inside, [points], True, 0, lineType=cv2.LINE_8, shift=shift)", "pass",
          "segmentation/test_outlines.py"),
    Fault("outline-half", "segmentation/outlines.py", "half = -(-full // 2)", "half = full // 2 - 8",
          "segmentation/test_outlines.py"),
    Fault("outline-parts", "segmentation/outlines.py", "found.setdefault(name, []).append(part)",
          "found[name] = [part]",
          "segmentation/test_outlines.py labels"),
    Fault("cleanup-largest", "segmentation/cleanup.py", "return parts(region)[0]", "return parts(region)[-1]",
          "segmentation/test_cleanup.py"),
    Fault("cleanup-share", "segmentation/cleanup.py", "self.part * largest_part(region).area",
          "self.part * region.area",
          "segmentation/test_cleanup.py"),
    Fault("cleanup-holes", "segmentation/cleanup.py", "connectedComponentsWithStats(outside, connectivity=4)",
          "connectedComponentsWithStats(outside, connectivity=8)", "segmentation/test_cleanup.py"),
    Fault("cleanup-limit", "segmentation/cleanup.py", "stats[:, cv2.CC_STAT_AREA] <= area",
          "stats[:, cv2.CC_STAT_AREA] < area", "segmentation/test_cleanup.py"),
    # measures
    Fault("measure-orientation", "segmentation/measure.py", "degrees = -float(np.degrees(angle))",
          "degrees = float(np.degrees(angle))", "segmentation/test_measure.py"),
    Fault("measure-spacing", "segmentation/measure.py", "area=pixels * row * column", "area=pixels * row * row",
          "segmentation/test_measure.py"),
    Fault("measure-pixel", "segmentation/measure.py", "_PIXEL_VARIANCE = 1 / 12", "_PIXEL_VARIANCE = 0.0",
          "segmentation/test_measure.py"),
    Fault("measure-cut", "segmentation/measure.py", "region.bottom == height", "region.bottom == height - 1",
          "segmentation/test_measure.py"),
    # comparison
    Fault("compare-hd95", "segmentation/compare.py", "max(np.percentile(d, 95) for d in distances)",
          "np.percentile(np.concatenate(distances), 95)", "segmentation/test_compare.py"),
    Fault("compare-nsd", "segmentation/compare.py", "np.count_nonzero(d <= tolerance)",
          "np.count_nonzero(d < tolerance)", "segmentation/test_compare.py"),
    Fault("compare-mean", "segmentation/compare.py", "weights=pairs[seen]", "weights=np.ones(int(seen.sum()))",
          "segmentation/test_compare.py"),
    Fault("scores-worst", "segmentation/scores.py", 'frozenset({"hd95", "assd"})', 'frozenset({"hd95"})',
          "segmentation/test_scores.py"),
    # folds
    Fault("folds-leak", "dataset/folds.py", "        refuse_leak(training, validation)\n", "", "dataset/test_folds.py"),
    Fault("folds-hash", "dataset/folds.py", "if folds.hash != said:", "if False:", "dataset/test_folds.py"),
    Fault("folds-strata", "dataset/folds.py", "cost = ((after - 1) ** 2 - (before - 1) ** 2).sum(axis=1)",
          "cost = 0.0 * after.sum(axis=1)", "dataset/test_folds.py"),
    # calibration and weights
    Fault("calibrate-threshold-leak", "ensemble/calibrate.py", "[curves[:, bones, fitted[k]] for k in (0, 1)]",
          "[curves[:, bones, fitted[2]] for k in (0, 1)]", "ensemble/test_calibrate.py"),
    Fault("calibrate-rule-leak", "ensemble/calibrate.py", "_best(tidied[k][fit], 0)", "_best(tidied[k], 0)",
          "ensemble/test_calibrate.py"),
    Fault("crossfit-own-half", "ensemble/crossfit.py", "by_second, by_first)", "by_first, by_second)",
          "ensemble/test_crossfit.py ensemble/test_vote.py ensemble/test_calibrate.py"),
    Fault("calibrate-gain", "ensemble/calibrate.py", "threshold_dice[i] - base[i] >= MINIMAL_GAIN",
          "base[i] - base[i] >= 0", "ensemble/test_calibrate.py"),
    Fault("weights-all", "ensemble/vote.py", "score(_greedy(score, fit, members",
          "score(_greedy(score, fit | True, members",
          "ensemble/test_vote.py"),
    # views, tiles
    Fault("views-mirror-back", "inference/views.py", "out = out[:, :, ::-1]\n        if list", "if list",
          "inference/test_views.py"),
    Fault("views-exchange", "inference/views.py", "out = out[list(mirror_order)]", "pass", "inference/test_views.py"),
    Fault("views-stride", "inference/views.py", "0.5 / stride - 0.5], [0, 1 / stride", "0.0], [0, 1 / stride",
          "inference/test_views.py"),
    Fault("tiles-weight", "inference/tiles.py", "out /= total", "out /= total.max()", "inference/test_tiles.py"),
    # resume
    Fault("resume-average", "training/callbacks.py", 'self.average = dict(state_dict["average"])', "pass",
          "training/test_resume.py"),
    Fault("resume-best", "training/callbacks.py", 'self.best = float(state_dict["best"])', "pass",
          "training/test_resume.py training/test_run.py"),
    # the hand
    Fault("hand-side", "hand/sides.py", 'return "R" if total > 0 else "L"', 'return "L" if total > 0 else "R"',
          "hand/test_geometry.py"),
    Fault("hand-wrist-sign", "hand/wrist.py", "-angle if side_of", "angle if side_of", "hand/test_geometry.py"),
    Fault("hand-scale", "hand/usual.py", "0.5 * np.log(measured.area[whole])", "0.6 * np.log(measured.area[whole])",
          "hand/test_align.py inference/test_judge.py"),
    Fault("cache-sum", "dataset/cache.py", 'zlib.crc32(grey.tobytes()) != said["crc32"]', "False",
          "dataset/test_cache.py"),
)  # fmt: skip


def main() -> None:
    """Plant each, run its tests, tell."""
    chosen = [fault for fault in FAULTS if not sys.argv[1:] or fault.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ossa"
        for part in ("src", "tests", "pyproject.toml"):
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        caught = 0
        for fault in chosen:
            said = planted(fault, copy)
            caught += said == "caught"
            print(f"{said:8} {fault.name}", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    sys.exit(0 if caught == len(chosen) else 1)


def planted(fault: Fault, copy: Path) -> str:
    """ "caught", "missed", or "stale" when the text is not there exactly once."""
    file = copy / "src" / "ossa" / fault.file
    text = file.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        return "stale"
    file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    try:
        tests = [str(copy / "tests" / name) for name in fault.tests.split()]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            print(done.stdout[-2000:], file=sys.stderr)
            return "broken"
        return "caught" if done.returncode else "missed"
    finally:
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
