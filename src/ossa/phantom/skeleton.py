"""The bones of one right hand and the joints between them, at rest. Lengths in mm.

Axes: x to the thumb's side, y from the finger tips to the elbow (the fingers point along -y), z to
the back of the hand; a PA beam runs along z, so (x, y) are a picture's columns and rows.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from ossa.errors import AnatomyError
from ossa.phantom.mesh import F64, Mesh, cells, closed, cluster, ellipsoid, means, merged, read_stl, two_sheets
from ossa.phantom.part import Part, default_part


@dataclass(frozen=True, slots=True)
class Joint:
    """A hinge: ``axis`` (3,) and ``centre`` (3,) in its body's frame."""

    name: str
    axis: tuple[float, float, float]
    centre: tuple[float, float, float]


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


#: Mesh name in a MyoHand folder -> hand29 bone.
MYOHAND = {
    "thumbdist": "finger-1", "thumbprox": "finger-2", "1mc": "finger-3",
    "2distph": "finger-4", "2midph": "finger-5", "2proxph": "finger-6", "2mc": "finger-7",
    "3distph": "finger-8", "3midph": "finger-9", "3proxph": "finger-10", "3mc": "finger-11",
    "4distph": "finger-12", "4midph": "finger-13", "4proxph": "finger-14", "4mc": "finger-15",
    "5distph": "finger-16", "5midph": "finger-17", "5proxph": "finger-18", "5mc": "finger-19",
    "trapezium": "Trapezium", "trapezoid": "Trapezoid", "capitate": "Capitate", "hamate": "Hamate",
    "scaphoid": "Scaphoid", "lunate": "Lunate", "triquetrum": "Triquetrum", "pisiform": "Pisiform",
    "radius": "Radius", "ulna": "Ulna",
}  # fmt: skip

#: How much of the forearm is taken from the meshes, in mm from the distal end; what lies beyond ``SHAFT_MM`` is drawn
#: out to ``SHAFT_LENGTHENED`` times its length: a shaft runs on to the film's border. The elbow is not modelled.
FOREARM_MM, SHAFT_MM, SHAFT_LENGTHENED = 150.0, 100.0, 14.0


def load_anatomy(folder: str | Path) -> Anatomy:
    """A MyoHand folder: ``myohand_body.xml`` (a MuJoCo body tree) and ``meshes/*.stl`` in metres.

    Radius and ulna, which are coarse and torn there, are rebuilt as closed surfaces. The result is
    kept for the process. Raises AnatomyError naming the file that is missing or malformed.
    """
    return _load(str(Path(folder).resolve()))


@cache
def _load(folder: str) -> Anatomy:
    root = Path(folder)
    path = root / "myohand_body.xml"
    try:
        text = path.read_text(encoding="utf-8")
        if "<!ENTITY" in text or "<!DOCTYPE" in text:
            raise AnatomyError("declares entities, which are not accepted", path=path, expected="plain MuJoCo XML")
        tree = ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError, UnicodeDecodeError) as error:
        raise AnatomyError(
            "cannot be read",
            path=path,
            found=str(error),
            expected="a MuJoCo body tree",
            remedy="Give a MyoHand folder with --anatomy, or leave --anatomy out for the built-in one",
        ) from error
    start = tree.find(".//body[@name='ulna']")
    if start is None:
        raise AnatomyError("has no body called 'ulna'", path=path, expected="the MyoHand body tree")
    bodies: list[Body] = []
    try:
        _walk(start, None, root, bodies)
    except (ValueError, KeyError) as error:
        raise AnatomyError("a body or a joint is malformed", path=path, found=str(error)) from error
    missing = sorted(set(MYOHAND.values()) - {b.bone for b in bodies})
    if missing:
        raise AnatomyError(
            "bones are missing from the tree", path=path, found=", ".join(missing), expected="all 29 bones"
        )
    return Anatomy(f"myohand:{root.name}", tuple(bodies))


def _numbers(text: str | None) -> F64:
    values = np.array([float(v) for v in (text or "0 0 0").split()])
    if values.shape != (3,) or not np.isfinite(values).all():
        raise ValueError(f"'{text}' is not three numbers")
    return values


def _walk(node: ElementTree.Element, parent: str | None, root: Path, out: list[Body]) -> None:
    """Append the body of ``node`` and those below it to ``out``, parents first."""
    position = _numbers(node.get("pos")) * 1000
    if node.get("euler") or node.get("quat"):
        raise ValueError(f"body '{node.get('name')}' is turned against its parent, which is not supported")
    bone = None
    for geom in node.findall("geom"):
        bone = MYOHAND.get(geom.get("mesh", ""), bone)
    if bone is None:
        raise ValueError(f"body '{node.get('name')}' carries no known bone")
    joints = tuple(
        Joint(j.attrib["name"], triple(_numbers(j.get("axis"))), triple(_numbers(j.get("pos")) * 1000))
        for j in node.findall("joint")
    )
    mesh_name = next(name for name, value in MYOHAND.items() if value == bone)
    mesh = closed(read_stl(root / "meshes" / f"{mesh_name}.stl", 1000.0)).outward()
    if bone in ("Radius", "Ulna"):
        end = float(mesh.vertices[:, 1].min())
        mesh = long_shaft(two_sheets(mesh, 0.6, end - 1, end + FOREARM_MM))
    if bone == "Ulna":
        mesh = with_styloid(mesh)
    out.append(Body(bone, parent, triple(np.zeros(3) if parent is None else position), joints, mesh))
    for child in node.findall("body"):
        _walk(child, bone, root, out)


def long_shaft(forearm: Mesh) -> Mesh:
    """Radius or ulna, cut off in mid-shaft, with what lies beyond ``SHAFT_MM`` drawn out along the arm."""
    points = forearm.vertices.copy()
    beyond = np.maximum(points[:, 1] - points[:, 1].min() - SHAFT_MM, 0)
    points[:, 1] += (SHAFT_LENGTHENED - 1) * beyond
    return Mesh(points, forearm.faces)


def with_styloid(ulna: Mesh) -> Mesh:
    """An ulna with a styloid process: a spike at the little finger's side of its distal end. Sizes schematic."""
    points = ulna.vertices
    head = points[points[:, 1] < points[:, 1].min() + 6.0]
    edge = head[head[:, 0] < head[:, 0].min() + 3.0]
    side, end, depth = float(head[:, 0].min()), float(head[:, 1].min()), float(edge[:, 2].mean())
    spike, foot = ellipsoid((2.2, 6.5, 2.6)), ellipsoid((4.0, 7.0, 4.2))
    process = merged(
        Mesh(spike.vertices + np.array([side + 2.2, end + 2.0, depth]), spike.faces),
        Mesh(foot.vertices + np.array([side + 3.4, end + 6.0, depth]), foot.faces),
    )
    return merged(ulna, process)


def triple(values: F64) -> tuple[float, float, float]:
    """Three floats of an array (3,)."""
    return (float(values[0]), float(values[1]), float(values[2]))
