# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of asking a board, on its way from task to task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..board.description import BoardStatus
from ..board.inspection import Inspection
from ..reasons import Reason
from .host_keys import NO_HOST_KEYS, HostKeys, refused_key
from .member import Member
from .memory import Remembered
from .wishes import Wishes


@dataclass(frozen=True)
class Answer:
    """A board's wishes, what it holds, its ssh host keys, and the ``team`` (options of stores and cloud) of it."""

    wishes: Wishes
    team: Mapping[str, Any]
    board: Inspection
    host_keys: HostKeys = NO_HOST_KEYS

    def member(self, name: str) -> Member:
        return Member(name, self.wishes, self.board, self.host_keys)

    def to_json(self) -> dict[str, Any]:
        return {
            "wishes": self.wishes.to_json(),
            "team": dict(self.team),
            "found": self.board.to_json(),
            "host_keys": self.host_keys.to_json(),
        }

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Answer:
        """From what ``to_json`` made. Raises ValueError for a board that does not fit."""
        return cls(
            Wishes.from_json(answer["wishes"]),
            answer["team"],
            Inspection.from_json(answer["found"]),
            HostKeys.from_json(answer["host_keys"]),
        )


@dataclass(frozen=True)
class Unasked:
    """Why a board was not asked: its wishes mean nothing, which is often so for all boards."""

    problem: Reason

    def to_json(self) -> dict[str, Any]:
        return {"problem": self.problem.to_json()}

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Unasked:
        return cls(Reason.from_json(answer["problem"]))


def answer_of(result: Mapping[str, Any]) -> Answer | Unasked | None:
    """What the result of the task that asks a board says; None for a task that failed or did not come to its end.

    A board whose answer cannot be decided on is one that was not asked: the others are decided for.
    """
    if "problem" in result:
        return Unasked.from_json(result)
    if "found" not in result:
        return None
    try:
        answer = Answer.from_json(result)
        _try_out(answer.board)
        return answer
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return Unasked(Reason("bad-answer"))


def odd_answers(
    asked: Mapping[str, Mapping[str, Any]], remembered: Mapping[str, Remembered]
) -> dict[str, tuple[str, ...]]:
    """The machines whose answers are of no use, with the host keys that are proven of them; none of those that ssh
    refuses for a key which is not that of the ``remembered`` board."""
    found: dict[str, tuple[str, ...]] = {}
    for name, result in asked.items():
        if result.get("failed") and isinstance(result.get("host_keys"), (list, tuple)):
            found[name] = tuple(map(str, result["host_keys"]))
        elif result.get("unreachable") and is_another(name, str(result.get("msg")), remembered):
            found[name] = ()
    return found


def is_another(name: str, said: str, remembered: Mapping[str, Remembered]) -> bool:
    """Whether ssh ``said`` that it refuses what is called ``name`` for a key that is not the remembered board's."""
    key = refused_key(said)
    return bool(key) and name in remembered and key not in remembered[name].host_keys


def _try_out(board: Inspection) -> None:
    """Judge what is judged of a board. Raises what that raises."""
    BoardStatus.of(board)
    sorted(board.warnings)
