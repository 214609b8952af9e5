"""Who found the bones of a segmentation: models with the hashes of their files, the version of ossa, what was asked.

A Predictor puts it into its results, label files that have room for it keep it (``KEY``), and whatever is made of
results (tables, pages, DICOM objects) tells it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Under this name label files keep an origin.
KEY = "made_by"

#: Digits of a hash that a sentence tells: enough to tell models apart, few enough to read.
_SHORT = 12

_SHA256 = re.compile(r"[0-9a-f]{64}")

#: The file that runs, of those that a model may have.
_WEIGHTS = ("model.onnx", "model.safetensors")

#: What a setting may be; thresholds are bone -> number.
_PLAIN = (str, int, float, bool)


@dataclass(frozen=True)
class Model:
    """One model: its ``name``, its ``licence`` ("" where nobody told) and the SHA-256 of each of its ``files``."""

    name: str
    licence: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def weights(self) -> str:
        """The SHA-256 of the weights, "" where no file is told."""
        named = [self.files[name] for name in _WEIGHTS if name in self.files]
        return next(iter([*named, *self.files.values()]), "")

    def __str__(self) -> str:
        return f"{self.name} {self.weights[:_SHORT]}".strip()


@dataclass(frozen=True)
class Origin:
    """``version`` of ossa ("" where it is not told), ``models`` (several are an ensemble) and ``settings`` by name:
    whole numbers, words, yes or no, and under "thresholds" bone -> probability.

    >>> origin = Origin("1.0", (Model("mine", files={"model.onnx": "ab" * 32}),), {"views": 2})
    >>> print(origin)
    ossa 1.0, mine abababababab
    >>> Origin.from_json(origin.to_json()) == origin
    True
    """

    version: str
    models: tuple[Model, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(filter(None, (f"ossa {self.version}".strip(), " + ".join(map(str, self.models)))))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "ossa": self.version,
            "models": [{"name": one.name, "licence": one.licence, "sha256": dict(one.files)} for one in self.models],
            "settings": dict(self.settings),
        }

    @classmethod
    def from_json(cls, value: object) -> Origin | None:
        """Back from ``to_json``; None for anything else: other programs may keep things of their own there."""
        if not isinstance(value, Mapping) or not isinstance(value.get("ossa"), str):
            return None
        models, settings = value.get("models"), value.get("settings")
        if not isinstance(models, list) or not isinstance(settings, Mapping):
            return None
        read = [_model(one) for one in models]
        known = [one for one in read if one is not None]
        if len(known) < len(read):
            return None
        return cls(value["ossa"], tuple(known), {str(k): v for k, v in settings.items() if _is_setting(v)})


def _model(value: object) -> Model | None:
    if not isinstance(value, Mapping):
        return None
    name, licence, files = value.get("name"), value.get("licence"), value.get("sha256")
    if not isinstance(name, str) or not isinstance(licence, str) or not isinstance(files, Mapping):
        return None
    sound = all(isinstance(k, str) and isinstance(v, str) and _SHA256.fullmatch(v) for k, v in files.items())
    return Model(name, licence, dict(files)) if sound else None


def _is_setting(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and isinstance(v, (int, float)) for k, v in value.items())
    return isinstance(value, _PLAIN)
