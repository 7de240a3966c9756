# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as metrics in Prometheus's text format, for the textfile collector of its node_exporter.

Moments are given as such, in seconds since 1970, so that what is left until then stays right between two runs. The
alerts of docs/fleet-alerts.yml build on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..times import parse_time
from ..words import printable
from .certificate_ends import certificate_ends
from .entries import ANSWERS, OUTCOMES, Report


@dataclass(frozen=True)
class _Metric:
    """All of them are gauges. Each sample has labels, in pairs, and a value."""

    name: str
    what: str
    samples: Iterable[tuple[dict[str, str], float]]


def as_metrics(report: Report) -> str:
    """Several reports may lie in one directory, since each sample names the playbook, and boards their site."""
    return "".join(line + "\n" for metric in _metrics(report) for line in _lines(metric, report.playbook))


def _metrics(report: Report) -> Iterator[_Metric]:
    yield _Metric("report_timestamp_seconds", "When the report was made.", [({}, _moment(report.made_at))])
    yield _Metric("success", "Whether every board answered and is there.", [({}, report.success)])
    yield _Metric("problems", "What is wrong with the fleet as a whole.", [({}, len(report.problems))])
    yield _Metric(
        "boards", "Boards by outcome.", [({"outcome": word}, report.counts.get(word, 0)) for word in OUTCOMES]
    )
    codes = Counter((board.site or "", board.outcome, board.code) for board in report.boards if board.code)
    yield _Metric(
        "boards_not_in_order",
        "Boards that are not in order, by outcome and reason code.",
        [({"site": site, "outcome": outcome, "code": code}, n) for (site, outcome, code), n in codes.items()],
    )
    answers = Counter(board.takes_updates.answer for board in report.boards if board.takes_updates)
    yield _Metric(
        "boards_taking_updates",
        "Boards by whether they take updates.",
        [({"answer": answer}, answers[answer]) for answer in ANSWERS if answers],
    )
    yield _Metric(
        "board_last_seen_timestamp_seconds",
        "When a board last answered or was last proven to be registered.",
        [(_board(b.name, b.site), _moment(b.last_seen)) for b in report.boards if b.last_seen],
    )
    yield _Metric(
        "board_update_proof_timestamp_seconds",
        "When a board itself last proved that it takes updates.",
        [
            (_board(board.name, board.site), _moment(board.takes_updates.proven_at))
            for board in report.boards
            if board.takes_updates and board.takes_updates.proven_at
        ],
    )
    ends = [({"kind": end.kind, "name": end.name, "not_after": end.not_after}, end) for end in certificate_ends(report)]
    yield _Metric(
        "certificate_end_timestamp_seconds",
        "When a certificate of boards or account ends.",
        [(labels, _moment(end.not_after)) for labels, end in ends],
    )
    yield _Metric(
        "certificate_boards", "Boards that hold a certificate.", [(labels, end.boards) for labels, end in ends]
    )
    for name, what in (("devices", "Devices of a developer certificate."), ("limit", "As many as it may have.")):
        yield _Metric(
            f"certificate_{name}",
            what,
            [({"name": place.name, "status": place.status}, getattr(place, name)) for place in report.places],
        )


def _board(name: str, site: str | None) -> dict[str, str]:
    return {"board": name, "site": site or ""}


def _moment(text: str) -> float:
    return parse_time(text).timestamp()


def _lines(metric: _Metric, playbook: str) -> Iterator[str]:
    name = f"pelion_fleet_{metric.name}"
    # What a network called a board may become another's name by being made printable, and no sample may come twice.
    lines = {_labels({"playbook": playbook, **labels}): value for labels, value in metric.samples}
    if lines:
        yield f"# HELP {name} {metric.what}"
        yield f"# TYPE {name} gauge"
    for labels, value in lines.items():
        yield f"{name}{labels} {value:.15g}"


def _labels(labels: dict[str, str]) -> str:
    texts = {name: printable(text).replace("\\", "\\\\").replace('"', '\\"') for name, text in labels.items()}
    return "{" + ",".join(f'{name}="{text}"' for name, text in texts.items()) + "}"
