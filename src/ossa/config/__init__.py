"""The run file of ``ossa train``: one validated YAML or JSON file, and ``key=value`` overrides.

``keys`` holds every key with its documentation, ``load`` reads and checks, ``manual`` describes them.
"""

from __future__ import annotations

from ossa.config.keys import (
    CloseUps,
    Data,
    DatasetKeys,
    EarlyStop,
    FineTune,
    Folds,
    Logging,
    Model,
    Optimiser,
    PhantomKeys,
    Pseudo,
    RunConfig,
    Scheduler,
    Train,
    Window,
)
from ossa.config.load import check, check_arguments, dump, load_config, recipes, to_yaml, unknown_name
from ossa.config.manual import describe_keys, table
from ossa.config.stages import stage_configs, started_from
from ossa.config.steering import DeepSupervision, Distil, Range, Sam, Search, WeightMean

__all__ = [
    "CloseUps",
    "Data",
    "DatasetKeys",
    "DeepSupervision",
    "Distil",
    "EarlyStop",
    "FineTune",
    "Folds",
    "Logging",
    "Model",
    "Optimiser",
    "PhantomKeys",
    "Pseudo",
    "Range",
    "RunConfig",
    "Sam",
    "Scheduler",
    "Search",
    "Train",
    "WeightMean",
    "Window",
    "check",
    "check_arguments",
    "describe_keys",
    "dump",
    "load_config",
    "recipes",
    "stage_configs",
    "started_from",
    "table",
    "to_yaml",
    "unknown_name",
]
