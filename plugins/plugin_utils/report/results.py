# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What results of tasks say to a report. A result is known by what is in it, not by the task that it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..board.inspection import Inspection
from ..fleet.readiness import Readiness
from ..json_object import JsonObject
from ..reasons import Reason
from .entries import FORMAT, HeldCertificate, Report
from .reasons import KINDS
from .summary import table


@dataclass(frozen=True)
class Names:
    """Of the developer certificate and the update resources that a board is to hold; empty where it gets none."""

    developer_certificate: str = ""
    update_certificate: str = ""

    @classmethod
    def from_json(cls, part: Any) -> Names:
        """From the part that the decision gave the board. Raises ValueError."""
        given = JsonObject(part)
        return cls(given.text("dev_cert", ""), given.text("update_resources", ""))


@dataclass(frozen=True)
class Decided:
    """What was decided for a fleet: the ``names`` for each board that has a part, and boards that are ``absent``. With
    ``only_look``, nothing of it is done before it is decided again."""

    names: Mapping[str, Names]
    absent: Sequence[str] = ()
    only_look: bool = False

    @staticmethod
    def is_awaited_by(result: Mapping[str, Any]) -> bool:
        """Whether nothing follows of the result for its board before it is decided and done: it is its answer."""
        return "wishes" in result

    @classmethod
    def from_json(cls, result: Mapping[str, Any]) -> Decided | None:
        """None for a result that says nothing of the kind."""
        if not {"parts", "absent"} <= result.keys():
            return None
        try:
            given = JsonObject(result)
            parts = given.mapping("parts")
            names = {name: Names.from_json(part) for name, part in parts.items()}
            return cls(names, given.texts("absent"), given.flag("only_look"))
        except ValueError:
            return None


def results_of_boards(result: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Of a task that was carried out for many boards at once, or says what became of them: each board's own result."""
    if "boards" not in result or not {"one_by_one", "tell"} & result.keys():
        return {}
    try:
        boards = JsonObject(result).mapping("boards")
    except ValueError:
        return {}
    return {name: board for name, board in boards.items() if isinstance(board, Mapping)}


def judged(result: Mapping[str, Any]) -> dict[str, Readiness]:
    """The boards of which a task judged whether they take updates; none for any other result."""
    try:
        return {name: Readiness.from_json(found) for name, found in JsonObject(result).mapping("takes_updates").items()}
    except ValueError:
        return {}


def has_looked(failure: Mapping[str, Any]) -> bool:
    """Whether a task that failed did look at what the boards answered, and failed for what it found."""
    return "unchecked" in failure


def advice(result: Mapping[str, Any]) -> list[str]:
    """What a task, or the items of one with a loop, asks people to do after the run."""
    loop, own = result.get("results"), result.get("advice")
    found = [str(text) for text in own] if isinstance(own, list) else []
    for item in loop if isinstance(loop, list) else ():
        found += advice(item) if isinstance(item, Mapping) else []
    return found


def diagnosed(result: Mapping[str, Any]) -> Reason | None:
    """The most likely cause of what is wrong with a board that was diagnosed; None where nothing is, and for any other
    result."""
    findings = result.get("findings")
    if not isinstance(findings, list) or not findings:
        return None
    try:
        why = Reason.from_json(findings[0])
        why.message(KINDS)
    except (KeyError, ValueError):
        return None
    return why


@dataclass(frozen=True)
class Reported:
    """A report that a task made, as its result tells it; ``files`` are those that it wrote."""

    report: Report
    table: Sequence[str]
    summary: Sequence[str]
    files: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return {
            "report": self.report.to_json(),
            "table": list(self.table),
            "summary": list(self.summary),
            "files": list(self.files),
        }

    def lines(self, width: int) -> list[str]:
        """For people at a terminal of that ``width``."""
        return [*table(self.report, width), "", *self.summary]

    @classmethod
    def from_json(cls, result: Mapping[str, Any]) -> Reported | None:
        """What ``to_json`` made; None for any other result."""
        if not cls.is_in(result):
            return None
        try:
            given = JsonObject(result)
            report = Report.from_json(result["report"])
            return cls(report, given.texts("table"), given.texts("summary"), given.texts("files"))
        except ValueError:
            return None

    @staticmethod
    def is_in(result: Mapping[str, Any]) -> bool:
        """Whether the result is that of a task that made a report. Does not read it, since it may be long."""
        report = result.get("report")
        return {"table", "summary", "files"} <= result.keys() and (
            isinstance(report, Mapping) and report.get("format") == FORMAT
        )


@dataclass(frozen=True)
class BoardFacts:
    """What a result says of its board, None or nothing where it does not. ``held`` has the certificates by the fields
    of a board's description."""

    device_id: str | None = None
    site: str | None = None
    held: Mapping[str, HeldCertificate] = field(default_factory=dict)

    @classmethod
    def from_json(cls, result: Mapping[str, Any]) -> BoardFacts:
        """From a result of any task: what was found on the board, what it holds now, or neither."""
        try:
            if "found" in result:
                found = Inspection.from_json(result["found"])
                site = JsonObject(JsonObject(result).mapping("wishes")).text_or_none("site")
                return cls(found.device_id, site or None, _held(found.describe()))
            given = JsonObject(result)
            return cls(given.text_or_none("device_id"), None, _held(given.mapping_or_none("after") or result))
        except ValueError:
            return cls()


CERTIFICATES = ("developer_certificate", "update_certificate")


def _held(facts: Mapping[str, Any]) -> dict[str, HeldCertificate]:
    described = {title: HeldCertificate.described(facts.get(title)) for title in CERTIFICATES}
    return {title: held for title, held in described.items() if held}
