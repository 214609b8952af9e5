"""Every error that ossa raises on purpose, so that a caller can tell a bad file from a bad setting.

OssaError
├── InputError            something the user gave could not be used
│   ├── ImageError        a radiograph file
│   ├── LabelError        a label file (outlines, COCO, mask array)
│   ├── SubmissionError   a run-length CSV
│   ├── DatasetError      a data set folder as a whole (layout, folds, cache)
│   ├── SchemaError       a bone schema, or two that do not match
│   ├── AnatomyError      a folder of bone meshes
│   └── BundleError       a model bundle or weight file
├── ConfigError           a run file, a setting, an argument
├── OutputError           something could not be written
├── MissingExtraError     an optional package is not installed
├── DeviceError           the asked-for device is not there or ran out of memory
└── TrainingError         training had to stop (NaN loss, leak between folds, ...)
"""

from __future__ import annotations

import re
from os import PathLike, fspath

#: Longest part of a message, in characters; and what would steer the terminal that shows one (C0 and C1 controls).
_LONGEST = 4_000
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _told(value: object) -> str:
    """As text that a terminal can show: what a file says of itself may be megabytes, or hold commands to the screen."""
    text = str(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text):,} characters)"
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class OssaError(Exception):
    """A problem told in the order a reader needs it: where, what, found, expected, what to do.

    Only ``what`` is required. ``path`` names the file; ``found`` and ``expected`` are short
    phrases; ``remedy`` is an instruction ("give ...", "lower ...").

    >>> try:
    ...     ossa.read_radiograph("absent.png")
    ... except ossa.OssaError as error:
    ...     print(error.found)
    No such file or directory
    """

    def __init__(
        self,
        what: str,
        *,
        path: str | PathLike[str] | None = None,
        found: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.path = None if path is None else fspath(path)
        self.found = found
        self.expected = expected
        self.remedy = remedy
        parts = [f"{_told(self.path)}: {_told(what)}" if self.path else _told(what)]
        if found is not None:
            parts.append(f"found {_told(found)}")
        if expected is not None:
            parts.append(f"expected {_told(expected)}")
        text = "; ".join(parts)
        super().__init__(f"{text}. {remedy}" if remedy else text)


class InputError(OssaError):
    """Something the user gave could not be used."""


class ImageError(InputError):
    """A radiograph file could not be read or is not a radiograph."""


class LabelError(InputError):
    """A label file is malformed or speaks of bones the schema does not have."""


class SubmissionError(InputError):
    """A run-length CSV is malformed or incomplete."""


class DatasetError(InputError):
    """A data set folder, its folds or its cache cannot be used."""


class SchemaError(InputError):
    """A bone schema is malformed, or two schemas that must match do not."""


class AnatomyError(InputError):
    """A folder of bone meshes is incomplete or malformed."""


class BundleError(InputError):
    """A model bundle or a weight file is malformed, altered or of another schema."""


class ConfigError(OssaError):
    """A setting is unknown, misspelt or out of range."""


class OutputError(OssaError):
    """A result could not be written; nothing half-written is left."""


class MissingExtraError(OssaError):
    """An optional package is needed.

    ``MissingExtraError.of("training", "train")`` reads: training needs packages that are not
    installed. Run: pip install 'ossa[train]'.
    """

    @classmethod
    def of(cls, purpose: str, extra: str, cause: BaseException | None = None) -> MissingExtraError:
        found = f"'{cause}'" if cause is not None else None
        return cls(
            f"{purpose} needs packages that are not installed",
            found=found,
            remedy=f"Run: pip install 'ossa[{extra}]'",
        )


class DeviceError(OssaError):
    """The asked-for device is not there, or it ran out of memory."""


class TrainingError(OssaError):
    """Training had to stop; the last good checkpoint is kept."""


def reason_of(error: Exception, path: str | PathLike[str]) -> str:
    """Why the file ``path`` was skipped, in one line that names it once; for trips that go on with the others."""
    text = str(error)
    if isinstance(error, OssaError):
        return text if fspath(path) in text else f"{fspath(path)}: {text}"
    if isinstance(error, MemoryError):
        return f"{fspath(path)}: not enough memory for this file"
    return f"{fspath(path)}: unforeseen {type(error).__name__}: {text} (a defect in ossa: please report it)"
