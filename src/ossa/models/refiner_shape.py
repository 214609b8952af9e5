"""What a refiner takes and answers for, as numbers that need no torch (models.refiner)."""

from __future__ import annotations

#: Samples across a strip, an odd number; the middle one lies on the outline.
ACROSS = 27

#: Layers of a strip: the picture, the bone's own logit, the highest of the others.
LAYERS = 3

#: So many columns at each end of a strip are looked at and not answered for.
AROUND = 9
