# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board wishes for: its own variables, never those of another board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

REFUSE, KEEP_IDENTITY, NEW_IDENTITY = "refuse", "keep_identity", "new_identity"
WHEN_BOOTSTRAPPED = (REFUSE, KEEP_IDENTITY, NEW_IDENTITY)
"""What to do with a board that has bootstrapped with another developer certificate than the wished one."""

REPLACE = "replace"
WHEN_UPDATE_UNKNOWN = (REFUSE, REPLACE)
"""What to do with a board that holds an update certificate that the team store does not know."""

ALLOW = "allow"
NEW_BOARDS = (ALLOW, REFUSE)
"""What to do with a board that was never met before, when there is no roster."""


@dataclass(frozen=True)
class UpdateWish:
    """Update resources by ``name``, and what they are made from when the store does not have them.

    That is a C file (``src``), or a domain and a class that the ids are derived from, or the ids themselves;
    empty texts stand for what was not given. A certificate that ends within ``renew_before_days``, or was made before
    ``renew_if_made_before``, is followed by a new one.
    """

    name: str
    src: str = ""
    vendor_domain: str = ""
    device_class: str = ""
    vendor_id: str = ""
    class_id: str = ""
    renew_before_days: int | None = None
    renew_if_made_before: str = ""

    def arguments(self) -> dict[str, Any]:
        """Those options of pelion.mbl.mbl_update_resources that are given."""
        given = {key: value for key, value in asdict(self).items() if value not in ("", None)}
        # A file that was named comes before what the inventory says on generating.
        return {"name": self.name, "src": self.src} if self.src else given


_VARIABLES = {"name": "update_resources", "src": "update_src"}
"""The role's variables for fields of UpdateWish; the others have the same names."""


@dataclass(frozen=True)
class Wishes:
    """The wishes of one board; see the options of the role provision_pelion, whose names these are."""

    dev_cert: str
    update: UpdateWish
    create: bool = True
    spread: bool = False
    when_bootstrapped: str = REFUSE
    when_update_unknown: str = REFUSE
    registration_timeout: int = 120
    roster: tuple[str, ...] = ()
    new_boards: str = ALLOW
    site: str = ""

    @classmethod
    def of_variables(cls, variables: Mapping[str, Any]) -> Wishes:
        """From the role's variables, without their prefix, all of them."""
        others = dict(variables)
        update = {field.name: others.pop(_VARIABLES.get(field.name, field.name)) for field in fields(UpdateWish)}
        return cls.from_json({**others, "update": update})

    @classmethod
    def from_json(cls, wishes: Mapping[str, Any]) -> Wishes:
        """From what ``to_json`` made."""
        return cls(**{**wishes, "update": UpdateWish(**wishes["update"]), "roster": tuple(wishes["roster"])})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "roster": list(self.roster)}
