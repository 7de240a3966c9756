# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as files that other programs read: JSON, CSV, JUnit XML for CI servers, and metrics."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from ..durable_file import replace_file
from ..errors import PelionError
from ..words import printable
from .alike import named
from .comparison import since
from .entries import GOOD, OUTCOMES, Report
from .metrics import as_metrics
from .page import page

COLUMNS = (
    *("name", "outcome", "code", "reason", "next_step", "address", "device_id", "state"),
    *("developer_certificate", "developer_certificate_ends", "update_certificate", "update_certificate_ends"),
    *("last_registration", "last_seen", "site", "takes_updates", "takes_updates_code"),
)
_FORMULA = re.compile("(^|;)([=+\\-@\uff1d\uff0b\uff0d\uff20])")
FLEET_PROBLEM = "fleet-problem"
"""The type of a failure that is of the fleet as a whole."""


LAST = "fleet.json"
"""What the next report is compared with."""


def compared(report: Report, directory: Path, inventory: Collection[str]) -> Report:
    """``report`` with what has changed since the one in ``directory``, if there is one."""
    with contextlib.suppress(PelionError):  # it is about to be replaced
        return replace(report, since=since(read_report(directory), report, inventory))
    return report


def keep_report(report: Report, directory: Path) -> None:
    """Write what the next report is compared with, and nothing else. Raises OSError."""
    directory.mkdir(mode=0o700, exist_ok=True)
    replace_file(directory / LAST, as_json(report).encode(), 0o600)


def write_report(report: Report, directory: Path) -> list[Path]:
    """Write all forms of ``report`` into ``directory``, which is made when it is not there; the files' paths.

    Each file is replaced as a whole. Raises PelionError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, form in _FORMS.items():
            replace_file(directory / name, form(report).encode(), 0o644)
    except OSError as error:
        raise PelionError(f"The report cannot be written to {directory}: {error.strerror}.") from error
    return [directory / name for name in _FORMS]


def is_written(directory: Path) -> bool:
    """Whether write_report has come to its end there."""
    return all((directory / name).exists() for name in _FORMS)


def read_report(directory: Path) -> Report:
    """The report that write_report left there. Raises PelionError where there is none, or a damaged one."""
    file = directory / LAST
    try:
        report = Report.from_json(json.loads(file.read_bytes()))
        # What is nested too deeply cannot be written again either.
        report.to_json()
        return report
    except FileNotFoundError:
        raise PelionError(f"There is no report in {directory}.") from None
    except OSError as error:
        raise PelionError(f"The report {file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise PelionError(f"{file} is not a report of this collection: it {_trouble(error)}.") from error


def _trouble(error: Exception) -> str:
    unreadable = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)
    return "is not JSON" if isinstance(error, unreadable) else str(error)


def as_json(report: Report) -> str:
    """See docs/fleet-report.schema.json."""
    return json.dumps(report.to_json(), indent=2) + "\n"


def as_csv(report: Report) -> str:
    """A line for each board, after one with the names of the columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for board in report.boards:
        cells = {name: getattr(board, name, "") for name in COLUMNS}
        for title in ("developer_certificate", "update_certificate"):
            held = getattr(board, title)
            cells[title] = held and (held.name or held.fingerprint)
            cells[f"{title}_ends"] = held and held.not_after
        told = board.takes_updates
        cells |= {"takes_updates": told and told.answer, "takes_updates_code": told and told.code}
        writer.writerow(_cell(cells[name]) for name in COLUMNS)
    return text.getvalue()


def as_junit(report: Report) -> str:
    """A test case for each board, failed when it is not in order; the failure's type is the reason's code."""
    failures = sum(board.outcome not in GOOD for board in report.boards)
    suite = ElementTree.Element(
        "testsuite",
        name=f"pelion.mbl.{report.playbook}",
        tests=str(len(report.boards) + len(report.problems)),
        failures=str(failures + len(report.problems)),
        errors="0",
        skipped="0",
        timestamp=report.made_at.rstrip("Z"),
    )
    for problem in report.problems:
        _case(suite, "fleet", FLEET_PROBLEM, f"the fleet: {problem}", problem)
    for board in report.boards:
        if board.outcome in GOOD:
            _case(suite, named(board))
        else:
            text = f"{board.reason} {board.next_step}".strip()
            _case(suite, named(board), board.code or board.outcome, f"{OUTCOMES[board.outcome]}: {text}", text)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, name: str, kind: str = "", message: str = "", text: str = "") -> None:
    """A test case, failed when there is a ``kind`` of failure."""
    # XML has no way to write most control characters and lone surrogates, hence printable.
    case = ElementTree.SubElement(suite, "testcase", classname=suite.get("name", ""), name=printable(name), time="0")
    if kind:
        failure = ElementTree.SubElement(case, "failure", message=printable(message), type=printable(kind))
        failure.text = printable(text)


def _cell(value: str | None) -> str:
    """Spreadsheets take what begins like a formula for one, and boards and networks chose parts of the texts.

    What stands behind a separator begins a cell of its own where another separator is expected, and full width signs
    are as good as the others.
    """
    text = printable(value or "")
    return _FORMULA.sub(r"\1'\2", text)


_FORMS: dict[str, Callable[[Report], str]] = {
    LAST: as_json,
    "fleet.csv": as_csv,
    "fleet.junit.xml": as_junit,
    "fleet.prom": as_metrics,
    "fleet.html": page,
}
"""The files, in the order in which they are written."""
