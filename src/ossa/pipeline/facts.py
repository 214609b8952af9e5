"""The facts that ``ossa info`` gives, in words and as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Facts:
    """``kind`` of thing ("radiograph", "model", "data set", "label", "run", ...) and its facts, in order.

    ``rows``: (what, in words) for a person; ``values``: JSON values for a program.
    """

    kind: str
    rows: tuple[tuple[str, str], ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As ``ossa info --json`` prints it."""
        return {"kind": self.kind, **self.values}
