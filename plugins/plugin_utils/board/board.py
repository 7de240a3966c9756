# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board as an inspection found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from . import kcm
from .client_log import ClientLog

Description = Mapping[str, Any]
"""What credentials.certified.describe_certificate tells of a certificate."""


@dataclass(frozen=True)
class Board:
    """What a board holds and how it is.

    ``certificates`` maps the complete KCM names of kcm.CERTIFICATES to descriptions; ``files`` are the KCM's
    file names; ``record`` is the record's lines as a mapping, empty without one; ``status_code`` is the
    utility's for `--get-pelion-status`, None when it was not asked; ``clock`` is the board's own time in
    seconds since 1970. ``interrupted`` tells that a run was cut off and has left something to undo or to
    tidy up; what the board held before it is then what is described.
    """

    has_utility: bool
    files: tuple[str, ...] = ()
    certificates: Mapping[str, Description] = field(default_factory=dict)
    kcm_digest: str | None = None
    record: Mapping[str, str] = field(default_factory=dict)
    status_code: int | None = None
    status: str = ""
    client_runs: bool = False
    log: ClientLog = field(default_factory=ClientLog)
    clock: int = 0
    recovered: bool = False
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        """All of it, for ``from_json`` in a later task of the same run."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Board:
        """Raises ValueError for what ``to_json`` did not make."""
        try:
            return cls(**{**found, "log": ClientLog(**found["log"]), "files": tuple(found["files"])})
        except (KeyError, TypeError) as error:
            raise ValueError("not what an inspection found") from error

    @property
    def developer_certificate(self) -> Description | None:
        return self.certificates.get(kcm.DEVELOPER_CERTIFICATE)

    @property
    def update_certificate(self) -> Description | None:
        return self.certificates.get(kcm.UPDATE_CERTIFICATE)

    @property
    def device_id(self) -> str | None:
        """Under which the cloud knows the board, as far as the board tells."""
        return self.log.device_id

    @property
    def missing_items(self) -> list[str]:
        """Names of the items that a provisioned board has and this one lacks."""
        return [name.split("_", 1)[1] for name in kcm.FACTORY_ITEMS if kcm.file_name(name) not in self.files]

    @property
    def configured(self) -> bool:
        """Whether the utility is content and no item is missing (it overlooks missing update items)."""
        return self.status_code == 0 and not self.missing_items

    @property
    def bootstrapped(self) -> bool:
        """Whether the client holds LwM2M credentials, so that it registers and does not bootstrap."""
        return kcm.file_name(kcm.LWM2M_SERVER_URI) in self.files

    @property
    def registered(self) -> bool:
        """Whether the client runs, has bootstrapped, and last said that it registered."""
        return self.client_runs and self.bootstrapped and self.log.registered is True and self.log.device_id is not None

    @property
    def provisioned_by(self) -> str | None:
        """Who put the present content there: ``pelion.mbl``, ``another tool``, or None for no certificates."""
        if not self.certificates:
            return None
        return "pelion.mbl" if self.record and self.record.get("kcm") == self.kcm_digest else "another tool"

    def describe(self) -> dict[str, Any]:
        """JSON-able, without secrets: what the board holds, whoever put it there."""
        return {
            "developer_certificate": self.developer_certificate,
            "update_certificate": self.update_certificate,
            "provisioned_by": self.provisioned_by,
            "missing_items": self.missing_items,
        }
