"""What DICOM objects call a bone: SNOMED CT and FMA codes with the side, and the private codes of ossa.

Codes of bones stand in the schema, with their sources. The others are those of pydicom's code dictionary (``codes``),
which is made from DICOM PS3.16; where one is written out here, its context group is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ossa.radiograph.radiograph import Side
from ossa.schema import Bone, BoneSchema

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept

#: What the bones of a row lie in (CID 4031, Common Anatomic Regions; the wrist: CID 7482).
_REGIONS = {
    "carpal": ("8205005", "Wrist region"),
    "forearm": ("14975008", "Forearm"),
    "leg": ("30021000", "Lower leg"),
}
#: What the bones of a schema make up, told by a row that it has: DICOM's word (PS3.16, annex L) and region (CID 4031).
_PARTS = {"metacarpal": ("HAND", ("85562004", "Hand")), "metatarsal": ("FOOT", ("56459004", "Foot"))}

#: Any bone, where no code of a smaller group is published (CID 6202).
_BONE = ("272673000", "Bone")

#: CID 244, Laterality.
_SIDES = {"L": ("7771000", "Left"), "R": ("24028007", "Right")}

#: The words for them in labels.
WORDS = {"L": "left", "R": "right"}


def _sct(code: tuple[str, str]) -> CodedConcept:
    from highdicom.sr import CodedConcept

    return CodedConcept(code[0], "SCT", code[1])


def side_code(side: Side) -> CodedConcept:
    """The laterality of a hand."""
    return _sct(_SIDES[side])


def part_of_body(schema: BoneSchema) -> str | None:
    """What the bones of a schema make up, as BodyPartExamined has it; None where DICOM's word is not known here."""
    return next((word for row, (word, _) in _PARTS.items() if schema.in_row(row)), None)


def region_code(schema: BoneSchema, bone: Bone) -> CodedConcept:
    """What part of the body a bone lies in: hand, wrist, forearm, foot or leg; elsewhere a bone."""
    whole = next((code for row, (_, code) in _PARTS.items() if schema.in_row(row)), _BONE)
    return _sct(_REGIONS.get(bone.row, whole))


def is_own_code(schema: BoneSchema, code: str) -> bool:
    """Whether a code means one bone of ``schema`` alone: several share that of a group ("Hand bone")."""
    return sum(code in (bone.snomed, bone.snomed_left, bone.snomed_right) for bone in schema.bones) == 1


def type_code(schema: BoneSchema, bone: Bone, side: Side | None) -> CodedConcept:
    """The bone of a side as SNOMED CT has it, with its FMA identifier as an equivalent code (PS3.3, 8.9).

    A bone of unknown side has the code without a side, which for most bones is that of a group: "Hand bone", "Bone".
    """
    from highdicom.sr import CodedConcept

    code = bone.snomed_of(side)
    named = f"{bone.title}, {WORDS[side]}" if side is not None and code != bone.snomed else bone.title
    if code is None:
        concept = _sct(_BONE)
    elif not is_own_code(schema, code):
        concept = _sct((code, _GROUPS.get(code, _BONE[1])))
    else:
        concept = _sct((code, named))
    fma = bone.fma_of(side)
    if fma is not None and side is not None:
        concept.EquivalentCodeSequence = [CodedConcept(fma, "FMA", f"{bone.title}, {WORDS[side]}")]
    return concept


#: Codes of groups that the schema uses, in the words of their source (CID 1006, CID 7304, HL7 FHIR R4).
_GROUPS = {"36455000": "Metacarpal", "24097009": "Hand bone", "2550002": "Bone structure of phalanx of thumb"}


def needs_side(bone: Bone, side: Side | None) -> bool:
    """Whether the side has to be said beside ``type_code``, since the code itself does not say it."""
    return side is not None and bone.snomed_of(side) in (None, bone.snomed)
