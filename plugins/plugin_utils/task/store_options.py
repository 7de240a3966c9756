# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of all modules that use the stores (see plugins/doc_fragments/store.py)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PelionError
from ..fleet.reasons import FLEET_REASONS
from ..store.places import find_places, write_places
from ..store.store import Store
from ..store.vault import Vault
from .action import Action
from .fleet_action import FleetAction
from .role_variables import unknown_variable

STORE_ARGUMENTS: dict[str, Any] = {
    "team_store": {"type": "path"},
    "user_store": {"type": "path"},
    "vault_id": {"type": "str"},
}


COLLECTION = Path(__file__).resolve().parents[3]
"""The root of this collection, where it is installed or cloned."""


@dataclass(frozen=True)
class Stores:
    """The team's credentials, and what belongs to one user."""

    team: Store
    user: Store


def open_stores(action: Action, arguments: dict[str, Any], *, only_read: bool = False) -> Stores:
    """The stores at the places that options, environment or ``~/.mbl-stores.json`` name.

    A missing ``~/.mbl-stores.json`` is written with the first change of a store, and nothing before. Warns of a team
    store that is ``only_read`` and not where somebody said, and of variables that were meant to be the role's.
    """
    # The role's own steps refuse the boards that have one.
    if not isinstance(action, FleetAction) and (problem := unknown_variable(action._task_vars)):
        action.warn(problem.message(FLEET_REASONS))

    def place(option: str) -> Path | None:
        value = arguments[option]
        if not value:
            return None
        # Relative to the playbook, as the paths in a playbook are. Keys must not lie where the next release does.
        path = Path(os.path.abspath(action._loader.path_dwim(value)))
        if not os.path.isabs(value) and COLLECTION in path.resolve().parents:
            raise PelionError(
                f"{option}: {value!r} is relative to the playbook, which is the collection's own. Give an absolute "
                f"path, such as {{{{ inventory_dir }}}}/{value}, or set PELION_{option.upper()}."
            )
        return path

    home = Path.home()
    places = find_places(home, os.environ, team=place("team_store"), user=place("user_store"))

    def note_places() -> None:
        if places.by_default:
            try:
                write_places(home, places)
            except OSError as error:
                action.warn(
                    f"{home}/.mbl-stores.json cannot be written ({error.strerror}), so the places of the stores are "
                    "not saved."
                )

    vault = Vault.of_this_run(action._loader, arguments["vault_id"])
    stores = Stores(
        team=Store(places.team, vault, shared=True, warn=action.warn, advise=action.advise, before_change=note_places),
        user=Store(places.user, vault, warn=action.warn, advise=action.advise, before_change=note_places),
    )
    if only_read and not places.by_default and not places.team.is_dir():
        action.warn(f"Nothing is known of boards and credentials, since this is the team store: {stores.team.place}.")
    return stores
