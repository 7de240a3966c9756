# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""That a board itself proved that it takes updates, as the team remembers it (see memory)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..credentials.update_resources import UpdateResources
from ..json_object import read
from ..times import parse_time


@dataclass(frozen=True)
class UpdateProof:
    """What a board took a probe of: the certificate's SHA-256, the ids as 32 hexadecimal digits, and when
    (2026-01-01T00:00:00Z). It stands until the board is given credentials again."""

    fingerprint: str
    vendor_id: str
    class_id: str
    proven_at: str

    @classmethod
    def of(cls, resources: UpdateResources, proven_at: str) -> UpdateProof:
        return cls(resources.fingerprint, resources.vendor_id.hex, resources.class_id.hex, proven_at)

    def is_of(self, resources: UpdateResources) -> bool:
        """Whether it is a proof for these as well."""
        return self == self.of(resources, self.proven_at)

    @classmethod
    def from_json(cls, proof: Any) -> UpdateProof:
        """From its fields. Raises ValueError."""
        found = read(cls, proof)
        parse_time(found.proven_at)
        return found


def standing_proofs(proofs: Mapping[str, UpdateProof | None], held: Mapping[str, str | None]) -> dict[str, str]:
    """When boards last proved that they take updates, by name: those of ``proofs`` that are of the certificate that
    the board is now found to hold (``held``, SHA-256)."""
    return {name: proof.proven_at for name, proof in proofs.items() if proof and proof.fingerprint == held.get(name)}
