"""What the sections of a run file are made of: their base classes, and types that several of them use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
#: A shell leaves the ~ of key=~/folder as it is.
Home = Annotated[Path, AfterValidator(Path.expanduser)]


class Section(BaseModel):
    """A part of a run file: unknown keys are refused, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), validate_default=True)


class Named(BaseModel):
    """``name`` and the arguments of the thing named, checked against its signature when it is built."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    def arguments(self) -> dict[str, Any]:
        """The free keys of the section."""
        return dict(self.model_extra or {})
