"""The settings of ``data.augment``: how far training samples are varied (``augment`` draws and applies)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ossa.config import unknown_name
from ossa.errors import ConfigError

Probability = float


class AugmentConfig(BaseModel):
    """How far training samples are varied. ``p_...`` are shares of samples (0..1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: tuple[float, float] = Field((0.8, 1.2), description="Range of the zoom, drawn evenly in its logarithm.")
    shift: float = Field(0.06, ge=0, le=1, description="Largest shift along x and y, as a share of the picture's side.")
    rotate: float = Field(20.0, ge=0, le=180, description="Largest rotation, degrees.")
    p_affine: Probability = Field(0.9, ge=0, le=1, description="Share of samples that are scaled, shifted and turned.")
    p_flip: Probability = Field(
        0.5, ge=0, le=1, description="Share that is mirrored; bones take their mirror partners."
    )
    p_bend: Probability = Field(0.15, ge=0, le=1, description="Share whose forearm is bent against the hand.")
    bend: tuple[float, float] = Field((12.0, 35.0), description="Range of that bend, degrees, to either side.")
    p_gamma: Probability = Field(0.5, ge=0, le=1, description="Share with another display curve.")
    gamma: tuple[float, float] = Field((0.6, 1.6), description="Range of the curve's exponent, even in its logarithm.")
    contrast: float = Field(
        0.2, ge=0, lt=1, description="Largest relative change of contrast, and shift of brightness."
    )
    p_invert: Probability = Field(0.05, ge=0, le=1, description="Share turned into a negative (dark bones).")
    p_clahe: Probability = Field(0.1, ge=0, le=1, description="Share with locally equalised contrast (CLAHE).")
    clahe: tuple[float, float] = Field((1.0, 4.0), description="Range of CLAHE's clip limit.")
    p_noise: Probability = Field(0.25, ge=0, le=1, description="Share with added grain.")
    noise: tuple[float, float] = Field((1.0, 12.0), description="Range of the grain's SD, grey levels of 255.")
    p_blur: Probability = Field(0.15, ge=0, le=1, description="Share that is blurred.")
    blur: tuple[float, float] = Field((0.4, 1.6), description="Range of the blur's SD, px of the training grid.")
    p_sharpen: Probability = Field(0.15, ge=0, le=1, description="Share that is sharpened (unsharp mask).")
    sharpen: tuple[float, float] = Field((0.3, 1.5), description="Range of the sharpening's strength.")
    p_dropout: Probability = Field(0.1, ge=0, le=1, description="Share with blanked boxes (coarse dropout).")
    dropout: tuple[int, int] = Field((1, 6), description="Range of the number of boxes.")
    dropout_size: tuple[float, float] = Field(
        (0.03, 0.12), description="Range of a box's sides, share of the picture's."
    )
    p_mixup: Probability = Field(
        0.3, ge=0, le=1, description="Share of batches whose samples are mixed in pairs (MixUp)."
    )
    mixup: float = Field(1.0, gt=0, description="MixUp's Beta(a, a): 1 draws the mixing share evenly from 0..1.")


#: No variation at all: validation and test samples.
NONE = AugmentConfig.model_validate(
    {name: 0.0 for name in AugmentConfig.model_fields if name.startswith("p_")}
    | {"shift": 0.0, "rotate": 0.0, "contrast": 0.0, "scale": (1.0, 1.0)}
)


def augment_config(values: dict[str, Any]) -> AugmentConfig:
    """``data.augment`` of a run file; ConfigError names the nearest right key."""
    for key in values:
        if key not in AugmentConfig.model_fields:
            raise unknown_name("augmentation setting", key, list(AugmentConfig.model_fields))
    try:
        return AugmentConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"'data.augment.{where}': {first['msg']}", found=first.get("input")) from error
