"""The bones of one right part and the joints between them, at rest. Lengths in mm.

Axes: x to digit 1's side, y from the tips to the root (digits point along -y), z to the side that faces the tube; the
beam runs along z, so (x, y) are a picture's columns and rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ossa.phantom.mesh import F64, Mesh, cells, cluster, means
from ossa.phantom.part import Part, default_part


@dataclass(frozen=True, slots=True)
class Joint:
    """A hinge: ``axis`` (3,) and ``centre`` (3,) in its body's frame; ``from_end``: the centre counts from the middle
    of the bone's near end instead, wherever a person's bone has it."""

    name: str
    axis: tuple[float, float, float]
    centre: tuple[float, float, float]
    from_end: bool = False


@dataclass(frozen=True, eq=False)
class Body:
    """One bone in the tree: its ``offset`` (3,) in the parent's frame, its joints and its mesh.

    ``bone`` is a name of the schema. ``forms`` (P, V, 3): how the mesh's vertices would have to be displaced to
    give the bone of each of P other people; without other people P is 0.
    """

    bone: str
    parent: str | None
    offset: tuple[float, float, float]
    joints: tuple[Joint, ...]
    mesh: Mesh
    forms: F64 = field(default_factory=lambda: np.zeros((0, 0, 3)))

    def lightened(self, cell: float) -> Body:
        """The same bone with vertices closer than ``cell`` mm merged."""
        index = cells(self.mesh, cell)
        forms = np.stack([means(form, index) for form in self.forms]) if len(self.forms) else self.forms
        return replace(self, mesh=cluster(self.mesh, cell), forms=forms)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """``bodies`` in an order in which parents precede children; ``name`` for the record; ``part``: their part."""

    name: str
    bodies: tuple[Body, ...]
    part: Part = field(default_factory=default_part)

    def lightened(self, cell: float) -> Anatomy:
        """The same bones with vertices closer than ``cell`` mm merged: enough for pixels of that size."""
        return replace(self, bodies=tuple(body.lightened(cell) for body in self.bodies))


def triple(values: F64) -> tuple[float, float, float]:
    """Three floats of an array (3,)."""
    return (float(values[0]), float(values[1]), float(values[2]))
