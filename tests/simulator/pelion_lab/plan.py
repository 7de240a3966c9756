# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab shall be: handed by `lab up` to the lab's first process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Paths are absolute; ``owner`` is the id of the user who gets the files."""

    id: str
    state: str
    system: str
    devices: int
    sites: int
    sha1_hosts: int
    retry_scale: float
    client_release: str
    disks: bool
    owner: int
