# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a board's ssh host key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HostKeys:
    """The ``fingerprints`` (``SHA256:…``) of all host keys that ssh accepts for a board, one of which it has shown.

    ``pinned`` says that they were given with the inventory. ``unproven`` is why ssh would accept any other key as well,
    in words that go on after "since"; there are no fingerprints then.
    """

    fingerprints: tuple[str, ...] = ()
    pinned: bool = False
    unproven: str = ""

    @property
    def doubt(self) -> str:
        """Why nothing proves which board answered; empty where its key does."""
        return self.unproven or ("" if self.fingerprints else "ssh keeps no host key of it")

    def to_json(self) -> dict[str, Any]:
        return {"fingerprints": list(self.fingerprints), "pinned": self.pinned, "unproven": self.unproven}

    @classmethod
    def from_json(cls, keys: Mapping[str, Any]) -> HostKeys:
        """From what ``to_json`` made."""
        return cls(tuple(keys["fingerprints"]), keys["pinned"], keys["unproven"])


NO_HOST_KEYS = HostKeys()


def refused_key(said: str) -> str | None:
    """The fingerprint that ssh ``said`` to refuse, since it knows another key of the board; empty where it did not say
    which one, None where that is not what it said."""
    if "IDENTIFICATION HAS CHANGED" not in said:
        return None
    shown = re.search(r"\bSHA256:[A-Za-z0-9+/]{43}", said)
    return shown[0] if shown else ""
