# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board wishes for: its own variables, never those of another board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

WhenBootstrapped = Literal["refuse", "keep_identity", "new_identity"]
WHEN_BOOTSTRAPPED: tuple[WhenBootstrapped, ...] = get_args(WhenBootstrapped)
"""What to do with a board that has bootstrapped with another developer certificate than the wished one."""

WhenUpdateUnknown = Literal["refuse", "replace"]
WHEN_UPDATE_UNKNOWN: tuple[WhenUpdateUnknown, ...] = get_args(WhenUpdateUnknown)
"""What to do with a board that holds an update certificate that the team store does not know."""

NewBoards = Literal["allow", "refuse"]
NEW_BOARDS: tuple[NewBoards, ...] = get_args(NewBoards)
"""What to do with a board that was never met before, when there is no roster."""

REFUSE: Final = "refuse"
KEEP_IDENTITY: Final = "keep_identity"
NEW_IDENTITY: Final = "new_identity"
ALLOW: Final = "allow"


@dataclass(frozen=True)
class UpdateWish:
    """Update resources by ``name``, and what they are made from when the store does not have them.

    That is a C file (``src``), with the private key of its certificate (``private_key_src``) where that is not beside
    it, or a domain and a class that the ids are derived from, or the ids themselves; empty texts stand for what was not
    given. Nothing of this changes what the store has, but with ``replace``, which only a rotation has: then the file
    takes its place, and a certificate that ends within ``renew_before_days``, or was made before
    ``renew_if_made_before``, is followed by a new one.
    """

    name: str
    src: str = ""
    private_key_src: str = ""
    vendor_domain: str = ""
    device_class: str = ""
    vendor_id: str = ""
    class_id: str = ""
    renew_before_days: int | None = None
    renew_if_made_before: str = ""
    replace: bool = False

    def arguments(self) -> dict[str, Any]:
        """Those options of pelion.mbl.mbl_update_resources that are given."""
        left_out = set() if self.replace else {"renew_before_days", "renew_if_made_before"}
        # A file that was named comes before what the inventory says on generating.
        left_out |= _GENERATING if self.src else {"replace"}
        given = {key: value for key, value in asdict(self).items() if value not in ("", None, False)}
        return {key: value for key, value in given.items() if key not in left_out}


_GENERATING = {"vendor_domain", "device_class", "vendor_id", "class_id", "renew_before_days", "renew_if_made_before"}

VARIABLES = {
    "name": "update_resources",
    "src": "update_src",
    "private_key_src": "update_private_key_src",
    "replace": "replace_update",
}
"""The role's variables for fields of UpdateWish; the others have the same names."""


@dataclass(frozen=True)
class Wishes:
    """The wishes of one board; see the options of the role provision_pelion, whose names these are."""

    dev_cert: str
    update: UpdateWish
    create: bool = True
    spread: bool = False
    when_bootstrapped: WhenBootstrapped = REFUSE
    when_update_unknown: WhenUpdateUnknown = REFUSE
    registration_timeout: int = 120
    roster: tuple[str, ...] | None = None
    new_boards: NewBoards = ALLOW
    site: str = ""

    @classmethod
    def of_variables(cls, variables: Mapping[str, Any]) -> Wishes:
        """From the role's variables, without their prefix, all of them."""
        others = dict(variables)
        update = {field.name: others.pop(VARIABLES.get(field.name, field.name)) for field in fields(UpdateWish)}
        return cls.from_json({**others, "update": update})

    @classmethod
    def from_json(cls, wishes: Mapping[str, Any]) -> Wishes:
        """From what ``to_json`` made."""
        update, roster = UpdateWish(**wishes["update"]), wishes["roster"]
        return cls(**{**wishes, "update": update, "roster": None if roster is None else tuple(roster)})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "roster": None if self.roster is None else list(self.roster)}
