"""What the one viewer of ossa knows of bones, in every language: the studio and the gallery show the same page.

The page itself is built from ``studio/`` of the repository: for the studio's server into ``apps/studio/static``, for
galleries, which open from the disk, into ``pages/static`` (gallery.js, gallery.css, licences.txt).
"""

from __future__ import annotations

from typing import Any

from ossa.pages.report.words import LANGUAGES, Words
from ossa.schema import Bone, BoneSchema


def bones_of(schema: BoneSchema) -> list[dict[str, Any]]:
    """Every bone for the page: name, group, row, colour (#rrggbb), title by language."""
    words = {code: Words(code, schema) for code in LANGUAGES}
    return [
        {
            "name": bone.name,
            "group": group_of(bone),
            "row": bone.row,
            "colour": "#{:02x}{:02x}{:02x}".format(*bone.colour),
            "title": {code: one.bone(bone) for code, one in words.items()},
        }
        for bone in schema.bones
    ]


def group_of(bone: Bone) -> str:
    """Where a bone stands on the page: "digit-1" to "digit-5" (metacarpals too), "carpals", "forearm", or its row."""
    if bone.digit is not None:
        return f"digit-{bone.digit}"
    return {"carpal": "carpals"}.get(bone.row, bone.row)


def notice(schema: BoneSchema) -> dict[str, str]:
    """What every page says at its foot, by language."""
    return {code: Words(code, schema)("research") for code in LANGUAGES}
