# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as the result of a task, and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..report.files import write_report
from ..report.report import Report, summary, table


def result_of(report: Report, dest: str | None) -> dict[str, Any]:
    """What pelion_fleet_report and its kin return; with ``dest``, a directory, it is also written. Raises PelionError.

    A relative directory is relative to where the command was given, as a file's name on a command line is.
    """
    files = write_report(report, Path(dest).absolute()) if dest else []
    return {
        "changed": False,
        "report": report.to_json(),
        "table": table(report),
        "summary": summary(report),
        "files": [str(file) for file in files],
    }
