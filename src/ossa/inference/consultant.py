"""A second network that is asked where the first one tells too little: parts of a hand, single digits, lateral views.

It travels in the bundle (bundle.companions), has learnt such films alone, and is opened when it is first asked.
inference.opinion joins what it says to what the first one says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ossa.bundle.companions import CONSULTANT, companion_path
from ossa.errors import BundleError
from ossa.inference.engine import open_companion
from ossa.inference.judge import CONSULTED, Judge, default_judge
from ossa.inference.networks import Member, Networks
from ossa.inference.views import FLIPPED
from ossa.radiograph.prepare import Preparation

if TYPE_CHECKING:
    from ossa.bundle.bundle import Bundle

#: Longer side of the grid that it has learnt on, px.
SIZE = 256


@dataclass(frozen=True, eq=False)
class Consultant:
    """The consultant of a bundle; the ``judge`` of what it says, and the ``threads`` that it runs on."""

    bundle: Bundle
    judge: Judge
    threads: int = 1

    @classmethod
    def of(cls, bundle: Bundle, threads: int = 1) -> Consultant | None:
        """The consultant that travels in ``bundle``; None when it has none, or nobody can judge what it says."""
        if companion_path(bundle, CONSULTANT) is None:
            return None
        judge = default_judge(bundle.card.schema, CONSULTED)
        return None if judge is None else cls(bundle, judge, threads)

    @cached_property
    def networks(self) -> Networks:
        """Its network, which looks twice, mirrored too. Raises BundleError when it cannot be opened."""
        engine = open_companion(self.bundle, CONSULTANT, self.threads)
        if engine is None:
            raise BundleError("the consultant is gone", path=self.bundle.path, expected=CONSULTANT)
        card = self.bundle.card
        weight = np.ones(len(card.schema), np.float32)
        member = Member(self.bundle, engine, Preparation(SIZE, card.preparation.multiple), weight)
        return Networks(card.schema, (member,), FLIPPED, upright=False, rows=True)
