"""What the OpenAPI document says of bodies, answers and errors, with examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from ossa.apps.serve.answers import CODES
from ossa.apps.serve.uploads import MULTIPART, RAW
from ossa.pipeline.reply import FORMATS


class Told(BaseModel):
    """What went wrong, in the order in which a reader needs it."""

    code: str = Field(description="For programs: the kind of the error.", examples=["image"])
    message: str = Field(description="What went wrong.", examples=["hand.png: is not a picture that ossa reads"])
    found: str | None = Field(None, description="What was found.", examples=["a PDF"])
    expected: str | None = Field(None, description="What was expected.", examples=["PNG, JPEG, TIFF, BMP or DICOM"])
    remedy: str | None = Field(None, description="What to do.", examples=["Export the radiograph as PNG"])


class Error(BaseModel):
    """Every error of this server."""

    error: Told


class Spacing(BaseModel):
    """Millimetres per pixel and where they come from."""

    row_mm: float
    column_mm: float
    source: str = Field(examples=["PixelSpacing"])


class Hand(BaseModel):
    """One hand of a film."""

    name: str = Field(description="How results of this hand are called.", examples=["hand"])
    side: str | None = Field(
        description="L or R of a hand seen from the back; null where nobody tells.", examples=["L"]
    )
    bones: int = Field(description="How many bones were found.", examples=[29])
    label: dict[str, Any] = Field(
        description="The label of `ossa predict`: polygons in px of the picture, warnings, confidences.",
        examples=[
            {
                "annotations": [
                    {
                        "id": "Radius.0",
                        "type": "poly_seg",
                        "attributes": {},
                        "points": [[10.5, 20.5], [30.5, 20.5], [30.5, 60.5]],
                        "label": "Radius",
                    }
                ],
                "attributes": {"confidence": {"Radius": 0.98}},
                "file_id": "hand",
                "filename": "hand.png",
                "metadata": {"height": 1024, "width": 768},
            }
        ],
    )


class Film(BaseModel):
    """The bones of a film, hand by hand from left to right."""

    image: str = Field(examples=["hand.png"])
    width: int = Field(examples=[768])
    height: int = Field(examples=[1024])
    spacing: Spacing | None = Field(description="What the file says of millimetres.")
    notes: list[str] = Field(description="Warnings that belong to every use of the result.")
    hands: list[Hand]


#: What goes wrong with which status.
WHEN = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "A page of another site, or a page without the session's value.",
    404: "There is nothing of this name.",
    406: "No answer is of a type that is accepted.",
    408: "The body came too slowly.",
    409: "Not in this state.",
    413: "The body is larger than this server takes.",
    415: "The body is of a type that is no picture's.",
    421: "The server is not called by this name.",
    422: "The picture or a setting cannot be used; the error says why.",
    429: "Too many wait. Try again after Retry-After seconds.",
    501: "An optional package is not installed on the server.",
    503: "The model is not there, or was lost over this picture.",
    507: "The server's disk is full.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route: these errors and those that every route may answer."""
    out: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 400, 401, 403, 421}):
        example = {"code": CODES.get(status, "error"), "message": WHEN[status]}
        told = {"error": {**example, "found": None, "expected": None, "remedy": None}}
        out[status] = {
            "model": Error,
            "description": WHEN[status],
            "content": {"application/json": {"example": told}},
        }
    if 429 in out:
        out[429]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return out


def answers_of_predict() -> dict[int | str, dict[str, Any]]:
    """The 200 of POST /v1/predict in every media type."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    text = {"schema": {"type": "string"}}
    content: dict[str, Any] = {"application/json": {}, "application/zip": binary}
    for form in FORMATS.values():
        content.setdefault(form.media, text if form.media.startswith("text/") else binary)
    return {200: {"model": Film, "description": "The bones, in the form that was asked for.", "content": content}}


_PICTURE = {"schema": {"type": "string", "format": "binary"}}

#: The body of POST /v1/predict.
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A radiograph: as it is, or as the field `file` of a form.",
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            **dict.fromkeys(sorted(RAW), _PICTURE),
        },
    }
}

#: The body of POST /v1/jobs.
BODIES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Radiographs, each a field `files` of a form.",
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}
