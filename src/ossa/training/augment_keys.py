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
    p_cutmix: Probability = Field(
        0.0, ge=0, le=1, description="Share of the other batches whose samples take a box of another's (CutMix)."
    )
    cutmix: float = Field(1.0, gt=0, description="CutMix's Beta(a, a): 1 draws the box's area evenly from 0..1.")
    p_copy_paste: Probability = Field(
        0.0, ge=0, le=1, description="Share of the other batches whose samples take bones of another's, where they lie."
    )
    copy_paste: tuple[int, int] = Field((1, 4), description="Range of the number of those bones.")
    copy_paste_rim: float = Field(0.01, ge=0, le=0.2, description="What is taken around them, share of the side.")
    p_crop: Probability = Field(0.0, ge=0, le=1, description="Share of samples that are a part, enlarged to the grid.")
    crop: tuple[float, float] = Field((0.4, 0.9), description="Range of the part's sides, share of the picture's.")
    p_perspective: Probability = Field(0.0, ge=0, le=1, description="Share that is seen at an angle.")
    perspective: float = Field(0.08, ge=0, lt=0.5, description="Largest shift of a corner, share of the side.")
    p_elastic: Probability = Field(0.0, ge=0, le=1, description="Share that is bent like rubber.")
    elastic: tuple[float, float] = Field(
        (0.03, 0.1), description="Range of the SD of the shifts of a grid of 5 x 5, share of a cell."
    )
    p_low_resolution: Probability = Field(0.0, ge=0, le=1, description="Share made smaller and enlarged again.")
    low_resolution: tuple[float, float] = Field((0.4, 0.9), description="Range of the size in between.")
    transforms: tuple[dict[str, Any], ...] = Field(
        (), description="Transforms of installed packages: [{name: rain, p: 0.3, ...}] (docs/training.md)."
    )


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
