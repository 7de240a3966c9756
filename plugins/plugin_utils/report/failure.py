# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the result of a task that did not succeed on a board says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..reasons import Reason
from .entries import FAILED, UNREACHABLE, BoardReport
from .reasons import KINDS
from .unreachable import why_unreachable

MOST_ITEMS = 3
"""Of a loop, whose messages are shown."""
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Failure:
    """``said`` is the text for people. ``reason`` is None where the result gives no code, as those of other
    collections do. ``host_keys`` are proven of what answered, though the answer was of no use."""

    said: str
    reason: Reason | None = None
    unreachable: bool = False
    host_keys: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, result: Mapping[str, Any]) -> Failure:
        """Of a result of any task: ``msg``, ``reason`` (a code), ``reason_facts`` and ``unreachable``.

        That of a task with a loop says nothing itself; its items that failed do.
        """
        if items := _failed_items(result):
            failures = [cls.from_json(item) for item in items]
            texts = list(dict.fromkeys(failure.said for failure in failures))
            more = f" And {len(texts) - MOST_ITEMS} more." if len(texts) > MOST_ITEMS else ""
            return replace(failures[0], said=" ".join(texts[:MOST_ITEMS]) + more)
        said = str(result.get("msg") or result.get("censored") or "It failed and did not say why.")
        code, facts = result.get("reason"), result.get("reason_facts")
        reason = None
        if isinstance(code, str) and _CODE.fullmatch(code):
            reason = Reason(code, dict(facts) if isinstance(facts, Mapping) else {})
        keys = result.get("host_keys")
        shown = tuple(map(str, keys)) if isinstance(keys, (list, tuple)) else ()
        return cls(said, reason, bool(result.get("unreachable")), shown)

    def report(self, board: str) -> BoardReport:
        """What is reported of that board."""
        if self.unreachable:
            why = why_unreachable(board, self.said)
            # ssh's own words tell most, unless they are a page full of at signs.
            said = "" if why.code == "host-key-changed" else self.said
            return BoardReport.because(board, UNREACHABLE, why, said)
        why = self.reason or Reason("failed")
        step = _next_step(why) or KINDS["failed"].next_step
        # A task's text says the next step, too: some people see nothing but it.
        return BoardReport(board, FAILED, _without(step, self.said), step, why.code, why.facts)


def has_failed(result: Mapping[str, Any]) -> bool:
    """Whether a task did not succeed on its board, or did not reach it."""
    return bool(result.get("failed") or result.get("unreachable"))


def _failed_items(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = result.get("results")
    if not isinstance(items, list):
        return []
    return [item for item in items if isinstance(item, Mapping) and has_failed(item)]


def _next_step(why: Reason) -> str:
    """Empty for a code or facts that this version does not know."""
    try:
        return why.next_step(KINDS)
    except (KeyError, TypeError, ValueError):
        return ""


def _without(part: str, text: str) -> str:
    before, _part, after = text.partition(part)
    return f"{before.rstrip()} {after.lstrip()}".strip() or text
