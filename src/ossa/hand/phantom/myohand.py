"""Hands from meshes: a MyoHand folder, alone or with other people's bones of the same names.

The first folder gives the joints, the forearm and the mesh; each other one gives the shape of every bone that it holds.
Lengths in mm.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ossa.errors import AnatomyError
from ossa.hand.phantom.forearm import FOREARM_MM, long_shaft, with_styloid
from ossa.hand.phantom.pose import MIDCARPAL
from ossa.phantom.mesh import F64, Mesh, closed, read_stl, two_sheets
from ossa.phantom.people import with_forms
from ossa.phantom.skeleton import Anatomy, Body, Joint, triple

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
    if bone == "Capitate":
        joints += (MIDCARPAL,)
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


def load_people(folders: Sequence[str | Path]) -> Anatomy:
    """The anatomy of the first folder, whose bones know the shapes of all others.

    The first is a MyoHand folder (``load_anatomy``); the others hold ``meshes/*.stl`` of the same names, in metres and
    about in the same frames, of a right hand; bones that they lack are left out. Kept for the process. Raises
    AnatomyError for a folder without meshes and for a bone that does not fit the first one's.
    """
    first, *others = (str(Path(folder).resolve()) for folder in folders)
    return _people(first, tuple(others))


@cache
def _people(first: str, others: tuple[str, ...]) -> Anatomy:
    anatomy = load_anatomy(first)
    bodies = []
    for body in anatomy.bodies:
        found = [_mesh_of(Path(folder), body.bone) for folder in others]
        bodies.append(with_forms(body, [mesh for mesh in found if mesh is not None]))
    name = "+".join([anatomy.name, *(Path(folder).name for folder in others)])
    return Anatomy(name, tuple(bodies))


def _mesh_of(folder: Path, bone: str) -> Mesh | None:
    """Another person's bone; None when the folder lacks it, or for the forearm, which only the first gives."""
    if not any((folder / "meshes").glob("*.stl")):
        raise AnatomyError(
            "holds no bone meshes",
            path=folder / "meshes",
            expected="binary STL files named as in a MyoHand folder",
            remedy="Give a folder of bone meshes with --anatomy",
        )
    path = folder / "meshes" / f"{next(name for name, value in MYOHAND.items() if value == bone)}.stl"
    if bone in ("Radius", "Ulna") or not path.exists():
        return None
    return closed(read_stl(path, 1000.0)).outward()
