# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that boards are registered: the Device Directory's word, asked for all of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from ..cloud.api_answers import Device
from ..cloud.devices import await_devices
from ..cloud.pelion_api import PelionApi
from ..reasons import Reason
from ..team.signers import Signers
from .identity import Identities, Sighting
from .readiness import Holding, Readiness, Terms, readiness


@dataclass(frozen=True)
class Claim:
    """A board says that it is registered as ``device_id`` under the developer certificate ``dev_cert`` (a name).

    ``developer_certificate`` is that one's SHA-256. ``bootstrapped`` tells that the board was made to bootstrap with
    it; ``bootstrapped_at`` is what the directory said of the device before that, None when it did not know it.
    ``timeout`` is how many seconds it may take the directory to know; ``host_keys`` and ``site`` are the board's, see
    Remembered. ``update_resources`` (a name) and ``update_certificate`` (its SHA-256) are what it now takes updates by,
    ``drift`` by how many seconds its clock is ahead of the controller's. ``injected`` tells that it was given
    credentials, and not only made to register.
    """

    board: str
    device_id: str
    dev_cert: str
    developer_certificate: str = ""
    bootstrapped: bool = False
    bootstrapped_at: str | None = None
    timeout: int = 0
    host_keys: tuple[str, ...] = ()
    site: str = ""
    update_resources: str = ""
    update_certificate: str = ""
    drift: int = 0
    injected: bool = False

    @property
    def sighting(self) -> Sighting:
        return Sighting(self.board, self.host_keys, self.device_id)

    def to_json(self) -> dict[str, Any]:
        """Without the board, under whose name it travels."""
        claim = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "board"}
        return {**claim, "host_keys": list(self.host_keys)}

    @classmethod
    def from_json(cls, board: str, claim: Mapping[str, Any]) -> Claim:
        """From what ``to_json`` made."""
        return cls(board, **{**claim, "host_keys": tuple(claim["host_keys"])})


@dataclass(frozen=True)
class Proof:
    """``unproven`` are the boards whose claim the directory does not bear out, and why; ``devices`` are those of the
    claims that it has, by id, as last seen."""

    unproven: dict[str, Reason]
    devices: Mapping[str, Device] = field(default_factory=dict)


def prove(api: PelionApi, claims: Sequence[Claim], timeout: float, identities: Identities | None = None) -> Proof:
    """What the directory says of ``claims`` within ``timeout`` seconds.

    Makes one call for the certificates and, at each look, one for about 100 devices. ``identities`` are those of the
    claims' boards, without other knowledge when not given. Raises ApiError.
    """
    copies = (identities or Identities.of((claim.sighting for claim in claims), {})).copies
    unproven = {claim.board: copies[claim.board].reason for claim in claims if claim.board in copies}
    lone = {claim.device_id: claim for claim in claims if claim.board not in unproven}
    if not lone:
        return Proof(unproven)
    certificates = {c.fingerprint: c.id for c in api.developer_certificates()}

    def is_proven(device: Device) -> bool:
        return _doubt(lone[device.id], device, certificates) is None

    seen = await_devices(api, lone, is_proven, timeout)
    for device_id, claim in lone.items():
        device = seen.get(device_id)
        doubt = _doubt(claim, device, certificates) if device else Reason("not-in-directory")
        if doubt:
            unproven[claim.board] = Reason(doubt.code, {"device_id": device_id, **doubt.facts})
    return Proof(unproven, seen)


def _doubt(claim: Claim, device: Device, certificates: Mapping[str, str]) -> Reason | None:
    """What of ``device`` speaks against ``claim``. ``certificates`` are the account's, ids by fingerprints: what they
    are called may have changed meanwhile.

    That ``ca_id`` is the developer certificate's id is inferred (see developer_devices), so its absence is no doubt.
    """
    if device.state != "registered":
        return Reason("not-registered", {"state": device.state})
    wanted, its = certificates.get(claim.developer_certificate), device.certificate_id
    # One that the account has no longer may still be the device's, as long as that is none which the account has.
    is_other = its in certificates.values() if wanted is None else its not in (None, wanted)
    if claim.bootstrapped and is_other:
        return Reason("other-certificate", {"dev_cert": claim.dev_cert})
    now = device.answer.get("bootstrapped_timestamp")
    if claim.bootstrapped and now is not None and now == claim.bootstrapped_at:
        return Reason("no-new-bootstrap", {"bootstrapped_at": now})
    return None


def takes_updates(claim: Claim, signers: Signers | None, devices: Mapping[str, Device], terms: Terms) -> Readiness:
    """Whether the board of a claim that is proven takes updates. ``devices`` are those of the proof, empty where the
    cloud was not asked."""
    held = Holding(claim.update_certificate, timedelta(seconds=claim.drift), registered_since=True)
    return readiness(held, signers, devices.get(claim.device_id), terms)
