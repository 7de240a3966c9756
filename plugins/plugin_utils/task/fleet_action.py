# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of the role provision_pelion share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from ..errors import PelionError
from ..fleet.reasons import code_of, coded, reason_of
from .action import Action


class FleetAction(Action):
    """An action whose failure carries a code, ``reason``, and ``reason_facts``, as long as it is of a known kind."""

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.take_step(arguments)
        except PelionError as error:
            if "reason" not in error.facts and code_of(error):
                error.facts.update(coded(reason_of(error)))
            raise

    @abstractmethod
    def take_step(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """As ``perform`` of Action."""
