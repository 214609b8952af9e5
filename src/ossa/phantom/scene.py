"""One synthetic radiograph with its perfect, overlapping truth, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ossa.phantom import limb
from ossa.phantom.drawn import drawn_part
from ossa.phantom.exposure import expose
from ossa.phantom.framing import frame
from ossa.phantom.growth import grown, sample_age
from ossa.phantom.injury import injured, lost
from ossa.phantom.options import PhantomOptions as PhantomOptions
from ossa.phantom.part import default_part
from ossa.phantom.placed import placed
from ossa.phantom.pose import place
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.tissue import Projection, add_bones, add_sesamoids
from ossa.phantom.treatment import hardware
from ossa.phantom.variants import add_ossicles, sample_variants
from ossa.phantom.variation import vary
from ossa.phantom.ways import builtin, settled, ways_of
from ossa.radiograph.radiograph import Provenance, Radiograph, Side, Spacing
from ossa.segmentation.segmentation import Segmentation

#: How much farther from the middle of their joint a sitter shows the sesamoids of the schema's first entry: beside the
#: bone, where people who annotate have to say whether they belong to it.
SESAMOIDS_ASIDE = 1.7


@dataclass(frozen=True)
class Sitter:
    """Whose part is to be drawn, where that is not left to chance: the same ``person`` (a seed) has the same age and,
    but for joints and growth plates, the same bones on both sides. ``sesamoid``: those of the schema's first
    entry count as parts of their bone, as most people who annotate have it.
    """

    person: int
    side: Side
    sesamoid: bool = False

    def grow(self, options: PhantomOptions, anatomy: Anatomy | None) -> tuple[float, Anatomy, frozenset[str]]:
        """The person's age in years, the part, and bones that cannot be seen yet."""
        rng = np.random.default_rng(np.random.SeedSequence([20260102, self.person]))
        age = sample_age(options.young, options.children, rng)
        return age, *grown(vary(anatomy or builtin(), rng), age, rng)

    def own(self) -> np.random.Generator:
        """Where the person's variants come from: the same on both sides."""
        return np.random.default_rng(np.random.SeedSequence([20260105, self.person]))


def age_of(person: int, options: PhantomOptions) -> float:
    """How old a ``Sitter`` of this number is, in years."""
    rng = np.random.default_rng(np.random.SeedSequence([20260102, person]))
    return sample_age(options.young, options.children, rng)


def generate(
    seed: int, size: int, options: PhantomOptions | None = None, anatomy: Anatomy | None = None
) -> tuple[Radiograph, Segmentation]:
    """A phantom whose longer side has ``size`` px, with truth; the same arguments give the same pixels.

    Without ``anatomy`` the built-in one is used; the truth has the bones of the anatomy's schema.
    """
    picture, scene = render(seed, size, options or PhantomOptions(), anatomy)
    truth = Segmentation.from_bits(scene.bits, scene.drawn.part.schema)
    spacing = Spacing(scene.mm, scene.mm, "phantom")
    origin = Provenance(format="phantom", remarks=(f"seed {seed}",))
    return Radiograph(picture, spacing, scene.drawn.side, origin), truth


def render(
    seed: int, size: int, options: PhantomOptions, anatomy: Anatomy | None = None, sitter: Sitter | None = None
) -> tuple[NDArray[np.uint8], Projection]:
    """The picture (H, W) uint8 and the projection it was exposed from: its bits are the truth,
    ``drawn`` tells what lies where. Anybody's part, or the ``sitter``'s."""
    rng = np.random.default_rng(np.random.SeedSequence([20260101, seed]))
    scene = project(rng, size, options, anatomy, sitter)
    picture, seen = expose(scene, rng, options)
    bits = np.where(seen, scene.bits, np.uint32(0))
    if rng.uniform() < options.inverted:
        picture = 255 - picture
    return picture, replace(scene, bits=bits, drawn=scene.drawn.with_truth(bits, scene.drawn.part.schema.names))


def project(
    rng: np.random.Generator,
    size: int,
    options: PhantomOptions,
    anatomy: Anatomy | None = None,
    sitter: Sitter | None = None,
) -> Projection:
    """The anatomy's part, drawn from ``rng`` (whose, ``sitter`` may say), posed, framed and projected;
    the longer side has ``size`` px. What nothing is known of for this part is left out of ``options``."""
    part = default_part() if anatomy is None else anatomy.part
    ways, options = ways_of(part), settled(options, part)
    shape = (size, max(32, round(size * rng.uniform(*options.aspect))))
    if sitter is None:
        age = sample_age(options.young, options.children, rng)
        whole, absent = grown(vary(anatomy or builtin(), rng), age, rng)
    else:
        age, whole, absent = sitter.grow(options, anatomy)
    pose = ways.posed(whole, options, rng)
    if rng.uniform() < options.injured:
        whole, pose = injured(whole, pose, rng)
    if rng.uniform() < options.missing:
        absent |= lost(part, rng)
    frames = place(whole, pose)
    chance: Side = "R" if rng.uniform() < 0.5 else "L"
    side = chance if sitter is None else sitter.side
    to_picture, mm = frame(whole, frames, shape, options, side, rng)
    bones = placed(whole, frames, to_picture, mm)
    there = [bone for bone in bones if bone.bone not in absent]
    own = rng.spawn(1)[0] if sitter is None else sitter.own()
    variants = sample_variants(part, options.variants, age, own)
    cortex, spongy, bits = add_bones(there, part.schema, shape, mm, age, rng, variants)
    aside = 1.0 if sitter is None else SESAMOIDS_ASIDE
    at_first = add_sesamoids(there, cortex, spongy, mm, age, rng, aside, part)
    if sitter is not None and sitter.sesamoid and part.sesamoid_bone is not None:
        bits[at_first] |= np.uint32(1 << part.schema.index(part.sesamoid_bone))
    add_ossicles(there, variants, cortex, spongy, mm)
    soft = ways.flesh(bones, bits, absent, mm, rng)
    if part.keys.latitude is not None:
        cortex, spongy = limb.saturated(cortex, spongy, part.keys.latitude)
    metal = hardware(there, shape, mm, options.treated, rng, part)
    drawn = drawn_part(bones, pose.kind, side, part).with_truth(bits, part.schema.names)
    return Projection(cortex, spongy, soft, metal, bits, mm, drawn)
