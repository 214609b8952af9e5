"""The sections of a run file that steer a training beyond its ordinary loop; each is off unless it is given."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ossa.config.sections import Count, Fraction, Positive, Section


class WeightMean(Section):
    """Stochastic weight averaging."""

    start: Fraction = Field(default=0.75, description="From which share of the epochs on weights are averaged")
    lr: Positive | None = Field(
        default=None, description="Learning rate from there on; the schedule goes on when empty"
    )


class Sam(Section):
    """Sharpness-aware minimisation."""

    rho: Positive = Field(default=0.05, description="How far from the weights the gradient is taken")
    adaptive: bool = Field(default=False, description="Measure that distance in units of each weight (ASAM)")


class DeepSupervision(Section):
    """Further heads on coarser levels while training; the finished network has none of them."""

    at: tuple[str, ...] = Field(
        default=(), description="Modules of the network whose output is judged; its decoder's levels when empty"
    )
    weight: Positive = Field(
        default=0.4, description="Weight of the finest further level's loss; halved with each coarser one"
    )


class Distil(Section):
    """Trained models whose mean answer is learnt beside the labels."""

    models: tuple[str, ...] = Field(
        min_length=1, description="Bundles whose mean probability is learnt; 'default' is the shipped model"
    )
    share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=0.5, description="Share of the models' answers in the loss; the labels have the rest"
    )
    temperature: Annotated[float, Field(ge=1.0)] = Field(
        default=1.0, description="Logits of both are divided by it: above 1 doubts count more"
    )


class Range(Section):
    """The values that a key may take in a search: a list of them, or everything from low to high."""

    values: tuple[Any, ...] = Field(default=(), description="Values to choose from")
    low: float | None = Field(default=None, description="Smallest value")
    high: float | None = Field(default=None, description="Largest value")
    log: bool = Field(default=False, description="Whether values are drawn evenly in their logarithm")
    whole: bool = Field(default=False, description="Whether values are whole numbers")

    @model_validator(mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return {"values": value} if isinstance(value, (list, tuple)) else value

    @model_validator(mode="after")
    def _one_kind(self) -> Range:
        if self.values:
            if self.low is not None or self.high is not None:
                raise ValueError("give a list of values, or low and high")
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("needs a list of values, or low and high with low < high")
        if self.log and self.low <= 0:
            raise ValueError("log needs low above 0")
        return self


class Search(Section):
    """Trainings with different values, each a run of its own."""

    keys: dict[str, Range] = Field(
        min_length=1,
        description="Key -> values: {optimiser.lr: {low: 1e-4, high: 0.01, log: true}, train.ema: [0, 0.99]}",
    )
    trials: Count = Field(default=20, description="How many trainings")
    sampler: Literal["tpe", "random"] = Field(
        default="tpe", description="How values are drawn: tpe learns from the trials before"
    )
