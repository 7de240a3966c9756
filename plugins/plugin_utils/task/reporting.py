# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of tasks: what boards answered, and a report as a result and as files."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import PelionError
from ..report.entries import Report
from ..report.files import compared, keep_report, write_report
from ..report.results import Reported
from ..report.status import Answer, read_answer
from ..report.summary import summary, table


def result_of(
    report: Report, dest: str | None, inventory: Collection[str] = (), kept: Path | None = None
) -> dict[str, Any]:
    """What pelion_fleet_report and its kin return; with ``dest``, a directory, it is also written. Raises PelionError.

    A relative directory is relative to where the command was given, as a file's name on a command line is. It is
    compared with the one before, which is there or, without ``dest``, in the directory ``kept``.
    """
    directory = Path(dest).absolute() if dest else None
    if place := directory or kept:
        report = compared(report, place, inventory)
    if place == kept and kept and not (report.since and report.since.left_out):
        # Who may not write there can look at the fleet all the same.
        with contextlib.suppress(OSError):
            keep_report(report, kept)
    files = write_report(report, directory) if directory else []
    reported = Reported(report, table(report), summary(report), [str(file) for file in files])
    return {"changed": False, **reported.to_json()}


def answers_of(boards: Mapping[str, Any]) -> dict[str, Answer]:
    """From the option ``boards``, results of mbl_pelion_status by board. Raises PelionError."""
    answers: dict[str, Answer] = {}
    for name, result in boards.items():
        try:
            answers[name] = read_answer(result)
        except ValueError as error:
            raise PelionError(
                f"boards: what is given for {name} is not a result of pelion.mbl.mbl_pelion_status: it {error}."
            ) from error
    return answers
