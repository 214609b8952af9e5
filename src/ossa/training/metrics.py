"""metrics.csv of a fold: Lightning's, with epochs counted from 1 as everywhere that a person reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ossa.training._lightning import CSVLogger
from ossa.training.ranks import is_first


class EpochsFromOne(CSVLogger):
    """Lightning's CSV logger; its own epochs begin at 0."""

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Add a row."""
        if "epoch" in metrics:
            metrics = {**metrics, "epoch": int(metrics["epoch"]) + 1}
        super().log_metrics(metrics, step)


def keep_metrics(folder: Path) -> None:
    """Number an earlier start's metrics.csv, which Lightning's logger would delete."""
    path = folder / "metrics.csv"
    if path.exists() and is_first():
        number = len(list(folder.glob("metrics-*.csv"))) + 1
        path.rename(folder / f"metrics-{number:03d}.csv")
