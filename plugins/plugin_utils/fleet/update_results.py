# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boards' clients answer to a probe (see credentials/update_manifest), and what that means.

Observed of mbed-cloud-client 3.0.0 and 4.1.0 (MBL 0.7 to 0.10, and its head of development); of 2.0.1 (MBL 0.5), whose
results are below 100, from its source only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..reasons import Kind, Reason

PROVEN = 221
"""Key, certificate, vendor and class are right, and only the timestamp is not. Given for nothing else."""
LOGGED = 520
"""What goes with it in the board's log, of all clients."""
AMBIGUOUS = 15
"""What 2.0.1 says to the same, and to much else."""

_RESULTS: Mapping[int, str] = MappingProxyType(
    {
        200: "other-device-wanted",
        207: "manifest-changed",
        208: "update-certificate-refused",
        210: "update-key-refused",
        215: "update-vendor-refused",
        216: "update-class-refused",
        103: "manifest-not-read",
        214: "manifest-not-read",
        218: "manifest-not-read",
        219: "manifest-not-read",
        6: "update-certificate-refused",
        7: "update-key-refused",
        13: "update-ids-refused",
    }
)

_ROTATE = "Run pelion.mbl.provision, which compares what is held with the team store, then prove again."
_HOLDS = "Its own word is that it holds something else than what it was found to hold."

PROBE_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        # It refused.
        "update-certificate-refused": Kind(
            "It does not know the update certificate {fingerprint:.16}… ({result}): a renewed certificate of the same "
            f"key is another one to it, too. {_HOLDS}",
            _ROTATE,
            "They do not know the update certificates that they were found to hold.",
        ),
        "update-key-refused": Kind(
            "It knows the update certificate {fingerprint:.16}…, but not the key that signs for it ({result}).",
            "Take the update resources {update_resources!r} of the team store from a backup, or replace them on the "
            "boards with pelion.mbl.rotate.",
            "They know their update certificates, but not the keys that sign for them.",
        ),
        "update-vendor-refused": Kind(
            "It takes updates of another vendor than {vendor_id} ({result}).",
            _ROTATE,
            "They take updates of other vendors.",
        ),
        "update-class-refused": Kind(
            "It takes updates for another class of device than {class_id} ({result}).",
            _ROTATE,
            "They take updates for other classes of device.",
        ),
        "update-ids-refused": Kind(
            "It takes updates of another vendor than {vendor_id}, or for another class than {class_id} ({result}).",
            _ROTATE,
            "They take updates of other vendors or for other classes of device.",
        ),
        "manifest-changed": Kind(
            "What it was given is not what was signed ({result}).",
            "Prove it again. If it says so again, something between here and the board changes updates.",
        ),
        "other-device-wanted": Kind(
            "It takes the probe for another device's ({result}), though it names none.",
            "Its client is not one that is known: prove it with -e witness=board, and look into its log.",
        ),
        "manifest-not-read": Kind(
            "It cannot read the probe ({result}).",
            "Its client is not one that is known. MBL takes manifests of version 1, the manifest tool's `create-v1`.",
        ),
        "other-result": Kind(
            "It answered with {result}, which says nothing of whether it takes updates.",
            "Look into /var/log/mbl-cloud-client.log on the board, then prove it again.",
        ),
        "says-yes-to-all": Kind(
            "It gives the same answer to a probe that nobody could take, so its answers prove nothing.",
            "Its client is none that is known. Try an update on it by hand before you rely on it.",
            "They give the same answer to probes that nobody could take, so their answers prove nothing.",
        ),
        # It is not known what it would say.
        "answer-ambiguous": Kind(
            "It answered with {result}, by which clients of MBL 0.5 mean several things.",
            "Its log tells more: prove it with -e witness=board.",
            "They answered with what clients of MBL 0.5 mean several things by.",
        ),
        "probe-unanswered": Kind(
            "It did not answer within {seconds} seconds (deployment state: {deployment}).",
            "It may be off, or its client may hang in an update that it could not fetch: restart mbl-cloud-client, "
            "then prove it again.",
            "They did not answer in time.",
        ),
        "probe-skipped": Kind(
            "The service did not give it the probe, perhaps since it already has a later update ({event}).",
            "Whether it takes updates is then shown by its certificate and IDs only: see pelion.mbl.status.",
            "The service did not give them the probe, perhaps since they already have later updates.",
        ),
        "campaign-stopped": Kind(
            "The service stopped the campaign before it had answered: {why}.",
            "If the account has no campaigns left this month, wait for the next one.",
        ),
        # It was not asked.
        "update-under-way": Kind(
            "An update is under way on it (state {state}), which a probe would not disturb, but it would not answer.",
            "Prove it when the update has ended. If it has hung for days, restart mbl-cloud-client.",
            "Updates are under way on them.",
        ),
        "in-another-campaign": Kind(
            "It is in the update campaign {campaign!r}, which is active.",
            "Prove it when that campaign has ended.",
            "They are in update campaigns that are active.",
        ),
    }
)
"""Why a board is not proven to take updates."""


def reason_for(result: int, asked: Mapping[str, str]) -> Reason | None:
    """Why a board that answered with ``result`` is not proven; None when it is. ``asked`` are facts of what it was
    asked about: ``update_resources`` (a name), ``fingerprint``, ``vendor_id``, ``class_id``."""
    if result == PROVEN:
        return None
    code = "answer-ambiguous" if result == AMBIGUOUS else _RESULTS.get(result, "other-result")
    return Reason(code, {"result": result, **asked})
