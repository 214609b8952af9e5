"""What each measurement means and who defined it: the one list of names; docs/measurements.md is checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ossa.errors import ConfigError

#: What sort of quantity a number is; lengths and areas have a unit that depends on the spacing.
Quantity = Literal["length", "area", "angle", "ratio"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind of number. ``text`` says what is measured, in one sentence; ``source`` who defined it so ("ossa" for
    what has no better source); ``of``: whether it is taken of each bone or once of a hand; ``experimental``: not
    checked against a truth yet.
    """

    name: str
    title: str
    quantity: Quantity
    text: str
    source: str
    of: Literal["bone", "hand"] = "bone"
    experimental: bool = False


_AXIS = "The bone's axis is the midline of its shaft, through the middles of slices across its middle three fifths."

_LIST = (
    # Of a bone.
    Definition("area", "Area", "area", "The area inside the bone's outline.", "ossa"),
    Definition(
        "length", "Length", "length",
        f"The extent of the outline along the bone's axis; of a carpal its greatest diameter. {_AXIS}",
        "Poznanski AK, Garn SM, Nagy JM, Gall JC. Metacarpophalangeal pattern profiles in the evaluation of skeletal "
        "malformations. Radiology 1972; 104: 1-11 (tubular bones, greatest length, epiphysis included)",
    ),
    Definition(
        "width", "Width", "length", "Carpals: the extent of the outline across its greatest diameter.", "ossa",
    ),
    Definition(
        "width_base", "Width of the base", "length",
        "The greatest extent across the axis in the proximal quarter of a tubular bone.", "ossa",
    ),
    Definition(
        "width_middle", "Width at the middle", "length",
        "The extent of a tubular bone across its axis, at half its length.",
        "Barnett E, Nordin BEC. The radiological diagnosis of osteoporosis: a new approach. Clin Radiol 1960; 11: "
        "166-174 (width at the middle of the second metacarpal)",
    ),
    Definition(
        "width_head", "Width of the head", "length",
        "The greatest extent across the axis in the distal quarter of a tubular bone.", "ossa",
    ),
    Definition(
        "axis_angle", "Direction of the axis", "angle",
        "From the picture's upward direction to the bone's axis, pointing away from the elbow; clockwise as seen is "
        "positive, -180 to 180 degrees.", "ossa",
    ),
    Definition(
        "relative_length", "Relative length", "ratio",
        "The bone's length over that of the third metacarpal: the hand's pattern, free of units.", "ossa",
    ),
    Definition(
        "length_z", "Length, z-score", "ratio",
        "How many standard deviations the bone is longer than in adults, men and women together; a little low, since "
        "the norms reach to the middle of the joint spaces.",
        "Buryanov A, Kotiuk V. Proportions of hand segments. Int J Morphol 2010; 28: 755-758 (66 right hands)",
        experimental=True,
    ),
    Definition(
        "cortical_thickness", "Cortical thickness", "length",
        "Both cortices together at the middle of the second to fourth metacarpal, from the grey profile across the "
        "shaft: the width less that of the medullary canal.",
        "Barnett E, Nordin BEC. Clin Radiol 1960; 11: 166-174",
        experimental=True,
    ),
    Definition(
        "cortical_index", "Metacarpal cortical index", "ratio",
        "Both cortices together over the width of the shaft, at the middle of the second to fourth metacarpal.",
        "Barnett E, Nordin BEC. Clin Radiol 1960; 11: 166-174",
        experimental=True,
    ),
    Definition(
        "joint_space", "Joint space width", "length",
        "Between this bone's base and the head of the bone before it in the digit: the mean distance along this "
        "bone's axis over the middle half of the joint.",
        "ossa; after Pfeil A et al. Computer-aided joint space analysis. Acad Radiol 2007; 14: 594-602",
        experimental=True,
    ),
    # Of the hand.
    Definition(
        "metacarpal_sign", "Metacarpal sign", "length",
        "How far the head of the third metacarpal reaches beyond the tangent to the heads of the fourth and fifth, at "
        "right angles to it; below 0: the tangent passes it distally, as is usual.",
        "Archibald RM, Finby N, De Vito F. Endocrine significance of short metacarpals. J Clin Endocrinol Metab 1959; "
        "19: 1312-1322 (the line through the heads of the fourth and fifth)",
        of="hand",
    ),
    Definition(
        "digit_ratio", "Second to fourth digit ratio", "ratio",
        "Of the index to the ring finger, each from the middle of the base of the proximal phalanx straight to the "
        "tip of the distal phalanx.",
        "Robertson J, Zhang W, Liu JJ, Muir KR, Maciewicz RA, Doherty M. Radiographic assessment of the index to ring "
        "finger ratio (2D:4D) in adults. J Anat 2008; 212: 42-48 (the phalanges)",
        of="hand",
    ),
    Definition(
        "carpal_height", "Carpal height", "length",
        "From the base of the third metacarpal to the distal end of the radius, along the third metacarpal's axis.",
        "Youm Y, McMurtry RY, Flatt AE, Gillespie TE. Kinematics of the wrist. J Bone Joint Surg Am 1978; 60: 423-431",
        of="hand",
    ),
    Definition(
        "carpal_height_ratio", "Carpal height ratio (Youm)", "ratio",
        "Carpal height over the length of the third metacarpal.",
        "Youm Y et al. J Bone Joint Surg Am 1978; 60: 423-431",
        of="hand",
    ),
    Definition(
        "carpal_height_ratio_nattrass", "Carpal height ratio (Nattrass)", "ratio",
        "Carpal height over the length of the capitate (its greatest diameter).",
        "Nattrass GR, King GJ, McMurtry RY, Brant RF. An alternative method for determination of the carpal height "
        "ratio. J Bone Joint Surg Am 1994; 76: 88-94",
        of="hand",
    ),
    Definition(
        "carpal_angle", "Carpal angle", "angle",
        "Between the tangent to the proximal borders of scaphoid and lunate and that of triquetrum and lunate, on "
        "the radius's side of them.",
        "Harper HA, Poznanski AK, Garn SM. The carpal angle in American populations. Invest Radiol 1974; 9: 217-221",
        of="hand",
    ),
    Definition(
        "radial_inclination", "Radial inclination", "angle",
        "Between the line from the tip of the radial styloid to the ulnar corner of the radius and a perpendicular to "
        "the radius's axis.",
        "Mann FA, Wilson AJ, Gilula LA. Radiographic evaluation of the wrist: what does the hand surgeon want to "
        "know? Radiology 1992; 184: 15-24",
        of="hand",
    ),
    Definition(
        "radial_height", "Radial height", "length",
        "From the ulnar corner of the radius to the tip of its styloid, along the radius's axis.",
        "Mann FA et al. Radiology 1992; 184: 15-24",
        of="hand",
    ),
    Definition(
        "ulnar_variance", "Ulnar variance", "length",
        "How far the head of the ulna, without its styloid, reaches beyond the ulnar corner of the radius, along the "
        "radius's axis; positive: the ulna is longer.",
        "Steyers CM, Blair WF. Measuring ulnar variance: a comparison of techniques. J Hand Surg Am 1989; 14: 607-612 "
        "(method of perpendiculars)",
        of="hand",
    ),
    Definition(
        "radius_metacarpal_angle", "Radius to third metacarpal", "angle",
        "From the radius's axis to that of the third metacarpal; positive bends towards the little finger.", "ossa",
        of="hand",
    ),
    Definition(
        "metacarpal_index", "Metacarpal index", "ratio",
        "The lengths of the second to fifth metacarpals together, over their widths at the middle together.",
        "Sinclair RJ, Kitchin AH, Turner RW. The Marfan syndrome. Q J Med 1960; 29: 19-46",
        of="hand",
    ),
)  # fmt: skip

#: Name -> definition, in the order in which they are told.
DEFINITIONS: Mapping[str, Definition] = MappingProxyType({one.name: one for one in _LIST})


def definition(name: str) -> Definition:
    """The definition of a measurement. Raises ConfigError for a name that is none."""
    if name not in DEFINITIONS:
        raise ConfigError("no measurement is called so", found=repr(name), expected=", ".join(DEFINITIONS))
    return DEFINITIONS[name]
