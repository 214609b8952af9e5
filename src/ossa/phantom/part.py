"""What phantoms have to know of a body part: the [phantom] section of its schema file, checked, and what follows.

Nothing else in this folder knows what part it draws. Where ``own`` of a schema names a room, that room has the part's
poses, flesh and built-in bones (``ways``); a part without is posed joint by joint as its section says (``limb``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ossa.errors import SchemaError
from ossa.schema import BoneSchema, load_schema

Range = tuple[float, float]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sesamoid(_Keys):
    """Small bones before the far end of ``bone``: how often (``chance``), on which sides of it (-1, 0, 1), how large
    against those of 1.2 to 2.8 mm (``size``). They are never in the truth."""

    bone: str
    chance: float = Field(ge=0, le=1)
    sides: tuple[int, ...]
    size: float = 1.0


class Ossicle(_Keys):
    """A small bone that few people have, and never in the truth: how often (``chance``); between which bones
    (``between``; one that is named twice draws it nearer) and how far ``out`` of there, in mm along the axes of a part
    at rest; its half axes in mm (``size``)."""

    name: str
    chance: float = Field(ge=0, le=1)
    between: tuple[str, ...] = Field(min_length=2)
    out: tuple[float, float, float] = (0.0, 0.0, 0.0)
    size: Range = (1.4, 3.2)


class Bipartite(_Keys):
    """A bone that few people have in two parts, both of which are its truth: how often, and where the gap lies, as a
    share of the bone's extent (``at``) along its long axis, or along ``axis`` of a part at rest; ``gap``: mm."""

    bone: str
    chance: float = Field(ge=0, le=1)
    at: Range
    axis: tuple[float, float, float] | None = None
    gap: Range = (0.7, 1.8)


class Coalition(_Keys):
    """Two neighbours that have grown together in few people, and how often."""

    bones: tuple[str, str]
    chance: float = Field(ge=0, le=1)


class Ankylosis(_Keys):
    """Joints that arthritis has turned to bone: in how many of the people whose joints are eroded (``chance``), in how
    many of those more than one (``several``), up to how many (``most``); the ``joints``, of which each is as likely as
    another."""

    chance: float = Field(ge=0, le=1)
    several: float = Field(ge=0, le=1)
    most: int = Field(ge=2)
    joints: tuple[tuple[str, str], ...] = Field(min_length=1)


class Views(_Keys):
    """How a part lies under the beam, in degrees: ``tilt`` about the line across it and ``roll`` about the line along
    it, each as mean and standard deviation; ``oblique``: the range of the roll in oblique views, of either sign."""

    tilt: Range = (0.0, 4.0)
    roll: Range = (0.0, 7.0)
    oblique: Range = (15.0, 50.0)


class Bearing(_Keys):
    """A bone turned on its joint before anything else, in degrees about x (across the part): ``rest`` in every
    picture, and evenly between the two numbers of ``lean`` in each."""

    rest: float = 0.0
    lean: Range = (0.0, 0.0)


class Growth(_Keys):
    """Ages in years and depths in mm of children's bones: when the centre of a short bone (``seen``) and the end beyond
    a plate (``ends``; others ``end``) are first seen, and how deep a plate lies (``deep``)."""

    seen: Mapping[str, float]
    ends: Mapping[str, float] = {}
    end: float
    deep: Mapping[str, float] = {}


class PartKeys(_Keys):
    """The [phantom] section of a schema file. Bones are named as in the schema; lengths in mm.

    ``own``: the room of ossa whose folder ``phantom`` has the part's poses and flesh; None: what this section says.
    ``rows``: of a digit, from the root to the tip. ``short``, ``shafts``: the rows of short bones, and of long bones of
    which films show one end. ``loaded``: shafts with a joint surface that shows as a rim. ``centre``: the bones in
    whose middle a picture's scale and collimation start; ``middle_digit``: along which they run; ``apart``: a digit
    that stands apart from the others. ``extent``: how long the part is. ``heads``: bones that grow at their far end.
    ``length``: mean lengths; bones without keep those of their meshes. ``broken``: how much more often than others
    these break; ``wear``: how much a bone takes part in osteoarthritis; ``plated``, ``ringed``: what carries plates,
    and rings. ``ossicle``, ``bipartite``, ``coalition``, ``ankylosis``: what few people have (``variants``).

    For parts without an ``own``: ``axes``, the meshes' axes that point to digit 1's side of a right part, from the tips
    to the root, and to the side that faces the tube (such as "x -z y"), ``unit`` of the meshes in mm; ``parents``: on
    which bone one hangs, where it is not the next in its digit; ``motion``: degrees (about x, y, z; standard
    deviations) by which a bone, or the bones of a row, turn on their joint; ``slack``: mm by which they shift;
    ``bearing``; ``views``; ``flesh``: mm around the bones; ``latitude``: mm of bone beyond which more
    hardly shows, where a part is much thicker at one end than at the other and films are exposed for the thin one.
    """

    own: str | None = Field(default=None, pattern="^[a-z]+$")
    rows: tuple[str, ...]
    short: str
    shafts: str
    loaded: tuple[str, ...] = ()
    centre: tuple[str, ...]
    middle_digit: int
    apart: int | None = None
    extent: float = Field(gt=0)
    heads: tuple[str, ...] = ()
    length: Mapping[str, float] = {}
    broken: Mapping[str, int] = {}
    wear: Mapping[str, float] = {}
    plated: tuple[str, ...] = ()
    ringed: tuple[str, ...] = ()
    sesamoid: tuple[Sesamoid, ...] = ()
    ossicle: tuple[Ossicle, ...] = ()
    bipartite: tuple[Bipartite, ...] = ()
    coalition: tuple[Coalition, ...] = ()
    ankylosis: Ankylosis | None = None
    growth: Growth | None = None

    axes: str = "x y z"
    unit: float = Field(default=1.0, gt=0)
    parents: Mapping[str, str] = {}
    motion: Mapping[str, tuple[float, float, float]] = {}
    slack: Mapping[str, float] = {}
    bearing: Mapping[str, Bearing] = {}
    views: Views = Views()
    flesh: Range = (5.0, 10.0)
    latitude: float | None = Field(default=None, gt=0)

    def bones(self) -> Iterable[str]:
        """Every name that has to be one of the schema's bones."""
        growth = () if self.growth is None else (*self.growth.seen, *self.growth.ends, *self.growth.deep)
        yield from (*self.loaded, *self.centre, *self.heads, *self.length, *self.broken, *self.wear, *growth)
        yield from (*self.plated, *self.ringed, *(s.bone for s in self.sesamoid), *self.bearing)
        yield from (*self.parents, *self.parents.values())
        yield from (bone for kind in self.ossicle for bone in kind.between)
        yield from (kind.bone for kind in self.bipartite)
        joints = () if self.ankylosis is None else self.ankylosis.joints
        yield from (bone for pair in (*(kind.bones for kind in self.coalition), *joints) for bone in pair)

    @property
    def knows_variants(self) -> bool:
        """Whether anything is said of what few people have."""
        return bool(self.ossicle or self.bipartite or self.coalition or self.ankylosis)


@dataclass(frozen=True, eq=False)
class Part:
    """A schema's bones with what phantoms know of them."""

    schema: BoneSchema
    keys: PartKeys

    @cached_property
    def digits(self) -> dict[int, tuple[str, ...]]:
        """Digit -> its bones from the root to the tip."""
        numbers = sorted({bone.digit for bone in self.schema.bones if bone.digit is not None})
        return {
            d: tuple(b.name for row in self.keys.rows for b in self.schema.bones if b.digit == d and b.row == row)
            for d in numbers
        }

    @cached_property
    def together(self) -> tuple[int, ...]:
        """The digits that lie side by side: all but the one that stands apart."""
        return tuple(d for d in self.digits if d != self.keys.apart)

    @cached_property
    def tubular(self) -> frozenset[str]:
        """Bones of digits."""
        return frozenset(bone for bones in self.digits.values() for bone in bones)

    @cached_property
    def tips(self) -> frozenset[str]:
        """The last bone of every digit."""
        return frozenset(bones[-1] for bones in self.digits.values())

    @cached_property
    def short(self) -> tuple[str, ...]:
        """Small bones as thick as they are long, in schema order."""
        return self.schema.in_row(self.keys.short)

    @cached_property
    def shafts(self) -> tuple[str, ...]:
        """Long bones that leave the picture."""
        return self.schema.in_row(self.keys.shafts)

    def row_of(self, bone: str) -> int:
        """Bones of a row share a part of their variation in length: 0 at the tips .. roots, then all other bones."""
        row = self.schema.bone(bone).row
        rows = self.keys.rows
        return len(rows) - 1 - rows.index(row) if bone in self.tubular else len(rows)

    @cached_property
    def sesamoid_bone(self) -> str | None:
        """The bone whose sesamoids may count as parts of it; None where there is none."""
        return self.keys.sesamoid[0].bone if self.keys.sesamoid else None


def part_of(schema: BoneSchema) -> Part:
    """What phantoms know of a schema's bones. Raises SchemaError for a schema that says nothing of phantoms, or says it
    wrongly."""
    return _part(schema, json.dumps(schema.phantom, default=str))


@cache
def _part(schema: BoneSchema, told: str) -> Part:
    del told  # schemas are alike that differ in this alone
    if not schema.phantom:
        raise SchemaError(
            f"schema '{schema.name}' does not say how phantoms of it are made",
            expected="a [phantom] section in its .toml file",
            remedy="Add the section (see 'Add a body part' in CONTRIBUTING.md), or use a schema that has one",
        )
    try:
        keys = PartKeys.model_validate(schema.phantom)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["phantom", *(str(step) for step in first["loc"])])
        raise SchemaError(
            f"schema '{schema.name}': {where}", found=f"{first['msg']}: {first['input']!r:.60}"
        ) from error
    for name in keys.bones():
        schema.index(name)  # names what is no bone
    part = Part(schema, keys)
    if len(schema) > 32:
        raise SchemaError(f"schema '{schema.name}' is too long for phantoms", found=len(schema), expected="32 bones")
    if keys.middle_digit not in part.digits or not part.short or not part.shafts:
        raise SchemaError(
            f"schema '{schema.name}': phantom.middle_digit, phantom.short and phantom.shafts have to be in it",
            found=f"{keys.middle_digit}, {keys.short}, {keys.shafts}",
            expected=f"a digit of {list(part.digits)} and rows of {sorted({b.row for b in schema.bones})}",
        )
    return part


def default_part() -> Part:
    """The part of the schema that stands first everywhere."""
    return part_of(load_schema())
