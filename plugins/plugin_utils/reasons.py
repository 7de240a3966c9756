# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons as values: a code that scripts and groups go by, with its facts. The sentence is made of them at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a code means. ``text`` and ``next_step`` are templates (str.format) for the facts of a Reason.

    ``common`` is the text for several boards that have the reason, without the facts in which they may differ; None
    where ``text`` has no such facts.
    """

    text: str
    next_step: str = ""
    common: str | None = None


@dataclass(frozen=True)
class Reason:
    """Why a board is not, or may not be, as it should: a ``code`` with JSON-able ``facts``, never a secret."""

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, reason: Mapping[str, Any]) -> Reason:
        """From what ``to_json`` made. Raises ValueError for anything else."""
        code, facts = reason.get("code"), reason.get("facts")
        if not isinstance(code, str) or not isinstance(facts, Mapping):
            raise ValueError(f"has {reason!r} where a reason should be")
        return cls(code, facts)

    def text(self, kinds: Mapping[str, Kind]) -> str:
        """The sentence, by the table of the room that the code is of."""
        return kinds[self.code].text.format(**self.facts)

    def next_step(self, kinds: Mapping[str, Kind]) -> str:
        """What the user can do about it."""
        return kinds[self.code].next_step.format(**self.facts)
