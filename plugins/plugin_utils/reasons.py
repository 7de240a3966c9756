# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons as values: a code that scripts and groups go by, with its facts. The sentence is made of them at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a code means. The texts are templates (str.format) for the facts of a Reason.

    ``text`` says what is wrong, ``next_step`` what the user can do about it, in words that fit every board that has the
    reason. ``common`` is the text for several boards, without the facts in which they may differ; None where ``text``
    has no such facts. ``hints`` are sentences for one board, each for a fact that a Reason may have or not.
    """

    text: str
    next_step: str = ""
    common: str | None = None
    hints: Mapping[str, str] = field(default_factory=dict)

    @property
    def speaks_of_one(self) -> bool:
        """Whether ``text`` cannot be said of several boards, though all their facts are the same."""
        return bool(self.common and re.search(r"\b(?:this|the|which) board\b|^It(?:s|\b)", self.text, re.IGNORECASE))


@dataclass(frozen=True)
class Reason:
    """Why a board is not, or may not be, as it should: a ``code`` with JSON-able ``facts``, never a secret."""

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, reason: Any) -> Reason:
        """From what ``to_json`` made. Raises ValueError for anything else."""
        if isinstance(reason, Mapping):
            code, facts = reason.get("code"), reason.get("facts")
            if isinstance(code, str) and isinstance(facts, Mapping):
                return cls(code, dict(facts))
        raise ValueError(f"has {reason!r} where a reason should be")

    def text(self, kinds: Mapping[str, Kind]) -> str:
        """The sentence, by the table of the room that the code is of."""
        return kinds[self.code].text.format(**self._shown())

    def next_step(self, kinds: Mapping[str, Kind]) -> str:
        """What the user can do about it."""
        kind, shown = kinds[self.code], self._shown()
        hints = (hint for fact, hint in kind.hints.items() if shown.get(fact))
        return " ".join(part.format(**shown) for part in (kind.next_step, *hints) if part)

    def message(self, kinds: Mapping[str, Kind]) -> str:
        """All that a user is told of one board."""
        return f"{self.text(kinds)} {self.next_step(kinds)}".rstrip()

    def common_message(self, kinds: Mapping[str, Kind]) -> str:
        """As ``message``, for several boards that have this reason; its facts are those that they have in common."""
        kind = kinds[self.code]
        text = kind.text if kind.common is None else kind.common
        return f"{text.format(**self._shown())} {self.next_step(kinds)}".rstrip()

    def _shown(self) -> dict[str, Any]:
        return {
            name: ", ".join(map(str, fact)) if isinstance(fact, (list, tuple)) else fact
            for name, fact in self.facts.items()
        }
