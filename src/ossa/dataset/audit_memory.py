"""What an audit that was stopped had looked at, so that the next one goes on: a log beside the table that is wanted."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from ossa.dataset.audit import CaseFindings, Finding
from ossa.labels.case import Case
from ossa.safety.log import Log, stamp


@dataclass(frozen=True, eq=False)
class LoggedAudit:
    """Cases and what was found of them, in ``log``; one whose picture or label has changed is looked at again."""

    log: Log

    def get(self, case: Case) -> CaseFindings | None:
        """See audit.Memory."""
        value = self.log.get(case.name)
        try:
            return _found(value) if value is not None and value["files"] == _files(case) else None
        except (KeyError, TypeError, ValueError, OSError):
            return None

    def put(self, case: Case, found: CaseFindings) -> None:
        """See audit.Memory."""
        try:
            files = _files(case)
        except OSError:
            return  # a picture that is not there is looked for again
        thumbnail = found.thumbnail
        self.log.put(
            case.name,
            {
                "files": files,
                "case": found.case,
                "findings": [[f.case, f.kind, f.message, list(f.bones)] for f in found.findings],
                "areas": dict(found.areas),
                "side": found.side,
                "angle": found.angle,
                "digest": found.digest,
                "thumbnail": None if thumbnail is None else base64.b64encode(thumbnail.tobytes()).decode(),
            },
        )


def _files(case: Case) -> list[Any]:
    return [stamp(path) for path in (case.image, case.label) if path is not None]


def _found(value: dict[str, Any]) -> CaseFindings:
    picture = None
    if value["thumbnail"] is not None:
        flat = np.frombuffer(base64.b64decode(value["thumbnail"]), np.uint8)
        picture = flat.reshape((round(flat.size**0.5), -1))
    findings = tuple(Finding(case, kind, message, tuple(bones)) for case, kind, message, bones in value["findings"])
    return CaseFindings(
        value["case"], findings, value["areas"], value["side"], value["angle"], value["digest"], picture
    )
