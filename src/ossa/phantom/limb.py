"""A part of which nothing is known but its schema and a folder of meshes: its joints, its poses, its flesh.

Axes as in ``skeleton``: x to digit 1's side of a right part, y from the tips to the root, z to the tube. Lengths in mm,
angles in radians where not said otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.errors import AnatomyError, SchemaError
from ossa.phantom.glb import read_glb
from ossa.phantom.mesh import F64, Mesh, closed, read_stl
from ossa.phantom.options import PhantomOptions
from ossa.phantom.part import Part
from ossa.phantom.people import nearest
from ossa.phantom.pose import Pose, View, rotation
from ossa.phantom.projection import F32
from ossa.phantom.skeleton import Anatomy, Body, Joint, triple
from ossa.schema import Bone

#: The share of a bone's vertices nearest to the bone that it hangs on: its joint lies in their midst.
_JOINT = 0.04
#: The share of a shaft's vertices that make up its end in the picture.
_END = 0.15
#: Endings of the mesh files that are read.
_ENDINGS = (".glb", ".stl")


def load_limbs(folders: Sequence[str | Path], part: Part) -> Anatomy:
    """The bones in a folder.

    It holds one .glb or binary .stl file per bone, of a right part, all in one frame; a file's name holds FMA and the
    bone's ``fma_right``, or is the bone's name or an alias. Raises AnatomyError for missing, damaged or doubled files,
    and for several folders. Kept for the process.
    """
    if len(folders) != 1:
        raise AnatomyError(
            f"several people's bones are not blended of schema '{part.schema.name}'",
            found=f"{len(folders)} folders",
            expected="one folder",
            remedy="Give --anatomy once",
        )
    return _limb(str(Path(folders[0]).resolve()), part)


@cache
def _limb(folder: str, part: Part) -> Anatomy:
    return _jointed(_load(Path(folder), part), part, Path(folder).name)


def _load(folder: Path, part: Part) -> dict[str, Mesh]:
    """Bone -> its mesh in the part's axes and mm."""
    turn = axes(part)
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _ENDINGS]
    if not files:
        raise AnatomyError(
            "holds no bone meshes",
            path=folder,
            expected="one .glb or binary .stl file per bone",
            remedy="Give a folder of bone meshes with --anatomy",
        )
    found: dict[str, Path] = {}
    for bone in part.schema.bones:
        own = [path for path in files if _is_of(path, bone)]
        if len(own) > 1:
            names = ", ".join(path.name for path in own)
            raise AnatomyError(f"{bone.name} has several meshes", path=folder, found=names, expected="one")
        if own:
            found[bone.name] = own[0]
    missing = [name for name in part.schema.names if name not in found]
    if missing:
        raise AnatomyError(
            f"lacks bones of schema '{part.schema.name}'",
            path=folder,
            found=f"no mesh for {', '.join(missing[:6])}{', ...' if len(missing) > 6 else ''}",
            expected="files named after the bones, or with FMA and the bone's fma_right in their names",
        )
    return {name: _read(path, turn, part.keys.unit) for name, path in found.items()}


def _is_of(path: Path, bone: Bone) -> bool:
    """Whether a file is named after a bone."""
    if bone.fma_right and re.search(rf"FMA{bone.fma_right}(?!\d)", path.stem):
        return True
    return path.stem.lower() in {name.lower() for name in (bone.name, *bone.aliases)}


def _read(path: Path, turn: F64, unit: float) -> Mesh:
    mesh = closed(read_stl(path, 1.0)).outward() if path.suffix.lower() == ".stl" else read_glb(path)
    return Mesh(mesh.vertices @ turn.T * unit, mesh.faces)


def axes(part: Part) -> F64:
    """The rotation (3, 3) from the meshes' axes to the part's. Raises SchemaError where the schema names none."""
    words = part.keys.axes.split()
    matrix = np.zeros((3, 3))
    for row, word in enumerate(words[:3]):
        column = "xyz".find(word[-1])
        if column >= 0 and word[:-1] in ("", "-"):
            matrix[row, column] = -1.0 if word[0] == "-" else 1.0
    if len(words) != 3 or not np.isclose(np.linalg.det(matrix), 1.0):
        raise SchemaError(
            f"schema '{part.schema.name}': phantom.axes are no right-handed axes",
            found=part.keys.axes,
            expected="such as 'x -z y': each of x, y and z once, with or without a minus",
        )
    return matrix


def _jointed(bones: dict[str, Mesh], part: Part, name: str) -> Anatomy:
    """The bones hung on each other, each in a frame whose origin is its joint, turned as the part rests."""
    parents = _parents(part)
    joints: dict[str, F64] = {}
    root = bones[next(iter(parents))].vertices.mean(axis=0)
    for bone in parents:
        parent, points = parents[bone], bones[bone].vertices
        if bone in part.shafts:  # which may touch each other at the end out of the picture too
            away = np.linalg.norm(points - root, axis=1)
            points = points[away <= np.quantile(away, _END)]
        joints[bone] = points.mean(axis=0) if parent is None else _between(points, bones[parent].vertices)
    for bone, bearing in part.keys.bearing.items():
        turn, centre = rotation((np.deg2rad(bearing.rest), 0.0, 0.0)), joints[bone]
        for other in [bone, *_beyond(bone, parents)]:
            bones = {**bones, other: Mesh((bones[other].vertices - centre) @ turn.T + centre, bones[other].faces)}
            joints[other] = (joints[other] - centre) @ turn.T + centre
    bodies = []
    for bone, parent in parents.items():
        at = joints[bone]
        offset = at - joints[parent] if parent is not None else np.zeros(3)
        hinges = tuple(Joint(f"{bone}:{n}", triple(np.eye(3)[k]), (0.0, 0.0, 0.0)) for k, n in enumerate("xyz"))
        bodies.append(Body(bone, parent, triple(offset), hinges, Mesh(bones[bone].vertices - at, bones[bone].faces)))
    return Anatomy(name, tuple(bodies), part)


def _parents(part: Part) -> dict[str, str | None]:
    """Bone -> the bone that it hangs on, parents first. Raises SchemaError unless all hang on one."""
    told: dict[str, str | None] = dict.fromkeys(part.schema.names, None)
    told |= part.keys.parents
    for digit in part.digits.values():
        told |= dict(zip(digit[1:], digit, strict=False))
    ordered: dict[str, str | None] = {}
    while len(ordered) < len(told):
        ready = [b for b, parent in told.items() if b not in ordered and (parent is None or parent in ordered)]
        roots = [b for b in ready if told[b] is None]
        if not ready or len(roots) > 1:
            found = ", ".join(roots) or ", ".join(b for b in told if b not in ordered)
            raise SchemaError(
                f"schema '{part.schema.name}': phantom.parents do not hang all bones on one",
                found=found,
                expected="a parent for every bone but one and those within a digit, without a circle",
            )
        ordered |= {b: told[b] for b in ready}
    return ordered


def _beyond(bone: str, parents: dict[str, str | None]) -> list[str]:
    """All bones that hang on ``bone``, directly or not."""
    out = [bone]
    for other, parent in parents.items():
        if parent in out:
            out.append(other)
    return out[1:]


def _between(points: F64, parent: F64) -> F64:
    """The middle (3,) of the place where a bone's vertices (V, 3) come nearest to those of another."""
    index, squared = nearest(points, parent)
    near = squared <= np.quantile(squared, _JOINT)
    return np.asarray((points[near] + parent[index[near]]).mean(axis=0) / 2)


def posed_limb(limb: Anatomy, options: PhantomOptions, rng: np.random.Generator) -> Pose:
    """A pose as the schema says: every bone turned a little on its joint and shifted, the whole seen along the beam or,
    in a share of ``oblique_views``, obliquely."""
    part, keys = limb.part, limb.part.keys
    angles: dict[str, float] = {}
    shift: dict[str, F64] = {}
    for body in limb.bodies:
        bone = part.schema.bone(body.bone)
        spread = keys.motion.get(bone.name, keys.motion.get(bone.row, (0.0, 0.0, 0.0)))
        turns = np.deg2rad(rng.normal(0, 1, 3) * spread)
        if bone.name in keys.bearing:
            turns[0] += np.deg2rad(rng.uniform(*keys.bearing[bone.name].lean))
        angles |= {f"{bone.name}:{axis}": float(turn) for axis, turn in zip("xyz", turns, strict=True)}
        shift[bone.name] = rng.normal(0, 1, 3) * keys.slack.get(bone.name, keys.slack.get(bone.row, 0.0))
    kind: View = "frontal"
    roll = rng.normal(*keys.views.roll)
    if rng.uniform() < options.oblique_views:
        kind, roll = "oblique", float(rng.choice((-1, 1))) * rng.uniform(*keys.views.oblique)
    tilt = rng.normal(*keys.views.tilt)
    view = rotation((0.0, float(np.deg2rad(roll)), 0.0)) @ rotation((float(np.deg2rad(tilt)), 0.0, 0.0))
    return Pose(angles, {}, shift, {}, view, kind)


def saturated(cortex: F32, spongy: F32, latitude: float) -> tuple[F32, F32]:
    """Both layers (H, W) of bone in mm, thinned where together they are thick: never more than ``latitude`` mm."""
    total = np.maximum(cortex + spongy, 1e-6)
    share = np.asarray(latitude * -np.expm1(-total / latitude) / total, np.float32)
    return cortex * share, spongy * share


def flesh(bone: NDArray[np.bool_], around: tuple[float, float], mm: float, rng: np.random.Generator) -> F32:
    """Flesh (H, W) in mm along each ray around the True pixels of ``bone`` (H, W): a rounded slab that reaches a length
    of the range ``around`` beyond them, up to some 30 mm thick; schematic."""
    import cv2

    step = max(1, round(0.6 / mm))
    height, width = bone.shape
    # Room around the picture, so that flesh runs on beyond its border where bone does.
    room = round(30 / mm / step)
    small = (-(-width // step), -(-height // step))
    mask = cv2.resize(bone.astype(np.uint8), small, interpolation=cv2.INTER_AREA)
    mask = cv2.copyMakeBorder(mask, room, room, room, room, cv2.BORDER_REPLICATE)
    gap = 2 * max(1, round(rng.uniform(2.5, 4.5) / mm / step)) + 1
    whole = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap)))
    beyond = cv2.distanceTransform(1 - np.minimum(whole, 1), cv2.DIST_L2, 5) * (mm * step)
    inside = cv2.distanceTransform((beyond < rng.uniform(*around)).astype(np.uint8), cv2.DIST_L2, 5) * (mm * step)
    thick, reach = rng.uniform(28.0, 44.0), rng.uniform(16.0, 24.0)
    depth = thick * np.sqrt(1 - (1 - np.clip(inside / reach, 0, 1)) ** 2)
    depth = cv2.GaussianBlur(depth.astype(np.float32), (0, 0), max(rng.uniform(0.3, 1.2) / (mm * step), 0.3))
    wave = cv2.resize(rng.standard_normal((9, 9)).astype(np.float32), depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
    depth = (depth * (1 + rng.uniform(0, 0.1) * wave))[room : depth.shape[0] - room, room : depth.shape[1] - room]
    full = cv2.resize(depth, (small[0] * step, small[1] * step), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.maximum(full[:height, :width], 0))
