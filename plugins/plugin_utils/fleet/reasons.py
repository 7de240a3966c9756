# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fleet's reasons mean, in words: why boards are refused or not proven, and why they are worked on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..board.errors import BoardError
from ..cloud.pelion_api import ApiError
from ..credentials.rules import CredentialError
from ..errors import PelionError
from ..reasons import Kind, Reason
from ..store.places import PlacesError
from ..store.store import StoreError
from ..store.vault import VaultError
from ..team.update_keeper import DifferentResourcesError, NotRenewableError

_ROSTER = "provision_pelion_roster"
_IDENTITIES = "provision_pelion_when_bootstrapped to keep_identity or new_identity"
_HELD_NAME = {"holds": "It holds {holds!r}: if that is right, set provision_pelion_dev_cert to it."}
"""After a rotation, the likeliest mistake is a former name in the variables."""
_IMPORT = {
    "mbl_cli_store": "{mbl_cli_store} is also a store of mbl-cli: import what that kept with "
    "pelion.mbl.import_mbl_cli -e src={mbl_cli_store}, then run again."
}
_ASK_THE_CLIENT = (
    "Does the API key belong to the account of the certificate, and does the board's client run and reach the cloud?"
)
_LOOK_THERE = "Look at /var/log/mbl-cloud-client.log there, at its network and at its clock, then run again."

FLEET_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        # What stops a run before any board is asked, or decided for.
        "discovery": Kind("{text}"),
        "different-teams": Kind(
            "Boards of this play wish for different stores or accounts: {first} for {one}, {second} for {other}.",
            "Run them one after the other with --limit, or in plays of their own.",
        ),
        # What is asked of a board without asking it.
        "unknown-variable": Kind(
            "{variable} is not a variable of the role provision_pelion.",
            "ansible-doc -t role pelion.mbl.provision_pelion lists them.",
            "These boards have variables that the role provision_pelion does not know.",
            {"near": "Did you mean {near}?"},
        ),
        "wrong-variable": Kind("{text}", common="The role's variables have wrong values for these boards."),
        "no-names": Kind(
            "The fleet's credentials have no names.",
            "Set provision_pelion_dev_cert (a developer certificate) and provision_pelion_update_resources (update "
            "resources) in inventory/group_vars/mbl.yml or with -e.",
        ),
        # Who may get keys.
        "not-in-roster": Kind(
            "This board is not in the roster, so it gets no keys. Its name is {board!r}, the fingerprint of its ssh "
            "host key is {host_keys}.",
            f"If it is yours, add its name or that fingerprint to {_ROSTER}.",
            "These boards are not in the roster, so they get no keys.",
        ),
        "new-board": Kind(
            "This board was never provisioned from this team store, or has another host key since, and "
            "provision_pelion_new_boards is refuse. The fingerprint of its ssh host key is {host_keys}.",
            f"If it is yours, add its name or that fingerprint to {_ROSTER}, or run once with -e "
            "provision_pelion_new_boards=allow.",
            "These boards were never provisioned from this team store, or have other host keys since, and "
            "provision_pelion_new_boards is refuse.",
        ),
        # What can be put on a board at all; the texts are the board's own.
        "no-utility": Kind("{text}"),
        "utility-broken": Kind("{text}", common="The pelion-provisioning-util of these boards cannot be run."),
        "no-space": Kind("{text}", common="There is not enough room on these boards, so nothing was changed."),
        "read-only": Kind("{text}", common="These boards' storage cannot be written, so nothing was changed."),
        # Update resources.
        "different-ways": Kind(
            "The boards of this run wish for the update resources {update_resources!r} to be made in {ways} different "
            "ways.",
            "Give their boards the same variables, or another name.",
            "The boards of this run wish for update resources of one name to be made in different ways.",
        ),
        "update-wish": Kind("{text}", common="The update resources that these boards wish for cannot be made."),
        "update-differs": Kind(
            "{text}",
            common="The team store has other update resources than these boards' variables say. What a name stands for "
            "is changed by pelion.mbl.rotate alone.",
        ),
        "update-not-renewed": Kind(
            "{text}", common="The update certificates for these boards are to be renewed, which this run does not do."
        ),
        "update-unknown": Kind(
            "This board holds an update certificate ({fingerprint:.16}…) that the team store {team_store} does not "
            "know under any name. Once it is replaced, the board takes no more updates that are signed with its key.",
            "Is this the store that the board was provisioned from? If so, set when_update_unknown (of the role: "
            "provision_pelion_when_update_unknown) to replace.",
            "These boards hold update certificates that the team store {team_store} does not know under any name. Once "
            "they are replaced, the boards take no more updates that are signed with their keys.",
            _IMPORT,
        ),
        "no-key-made": Kind(
            "No key is made for the update resources {update_resources!r}, since {holder} holds an update certificate "
            "({fingerprint:.16}…) that the team store {team_store} does not know.",
            "Is it the right store? If so, set provision_pelion_when_update_unknown to replace for that board.",
            "No keys are made for update resources, since another board holds an update certificate that the team "
            "store {team_store} does not know.",
            _IMPORT,
        ),
        # Developer certificates.
        "would-ignore-certificate": Kind(
            "This board has bootstrapped with another developer certificate, and its client would ignore {dev_cert!r}, "
            "which does not exist yet.",
            f"Is the name right? If so, set {_IDENTITIES}.",
            "These boards have bootstrapped with other developer certificates, and their clients would ignore those of "
            "the names that they wish for, which do not exist yet.",
            _HELD_NAME,
        ),
        "bootstrapped": Kind(
            "This board has already bootstrapped with another developer certificate (common name: "
            "{bootstrapped_with}), and its client would ignore a new one.",
            "Set when_bootstrapped (of the role: provision_pelion_when_bootstrapped) to keep_identity (it bootstraps "
            "again under its device id) or to new_identity (factory reset: it becomes a new device in the cloud).",
            "These boards have already bootstrapped with other developer certificates, and their clients would ignore "
            "new ones.",
            _HELD_NAME,
        ),
        "certificate-inactive": Kind(
            "The developer certificate {dev_cert!r} is INACTIVE in the cloud, so that no device can bootstrap with it.",
            "Activate it (pelion.mbl.pelion_dev_cert with force: true), or use another name.",
            "The developer certificates for these boards are INACTIVE in the cloud, so that no device can bootstrap "
            "with them.",
        ),
        "no-certificate": Kind(
            "There is no developer certificate {dev_cert!r} in the cloud, and none may be made "
            "(provision_pelion_create is false).",
            "Is the name right? If so, set provision_pelion_create to true.",
            "There are no developer certificates for these boards in the cloud, and none may be made "
            "(provision_pelion_create is false).",
        ),
        "no-room-create": Kind(
            "There is no room for this board among the developer certificates ({certificates}), and none may be made "
            "(provision_pelion_create is false).",
            "Set it to true, or delete devices that are no longer needed.",
            "There is no room for these boards among the developer certificates, and none may be made "
            "(provision_pelion_create is false).",
        ),
        "no-room-account": Kind(
            "There is no room for this board among the developer certificates ({certificates}), and the account may "
            "have {left} more.",
            "Delete certificates or devices that are no longer needed.",
            "There is no room for these boards among the developer certificates, and the account may not have more.",
        ),
        "no-room-spread": Kind(
            "There is no room for this board among the developer certificates ({certificates}).",
            "Set provision_pelion_spread, use another certificate's name for some boards, or delete devices that are "
            "no longer needed.",
            "There is no room for these boards among the developer certificates.",
        ),
        # What the cloud says afterwards.
        "not-registered": Kind(
            "The board says that it is device {device_id}, but the Device Directory has it as {state}.",
            _ASK_THE_CLIENT,
            "These boards say that they are registered, but the Device Directory does not have them as such.",
        ),
        "not-in-directory": Kind(
            "The board says that it is device {device_id}, but the Device Directory does not have that device.",
            _ASK_THE_CLIENT,
            "These boards say that they are registered, but the Device Directory does not have their devices.",
        ),
        "other-certificate": Kind(
            "The board says that it is device {device_id}, but the Device Directory has it under another developer "
            "certificate than {dev_cert!r}.",
            _ASK_THE_CLIENT,
            "The Device Directory has these boards' devices under other developer certificates than they were given.",
        ),
        "no-new-bootstrap": Kind(
            "The board says that it is device {device_id}, but the Device Directory knows of no bootstrap since "
            "{bootstrapped_at}.",
            _ASK_THE_CLIENT,
            "The Device Directory knows of no new bootstrap of these boards' devices.",
        ),
        "same-device": Kind(
            "{boards} all say that they are device {device_id}.",
            "Was the storage of one board copied to the others? Provision all but one of them with "
            "when_bootstrapped: new_identity.",
            "Several of these boards say that they are one and the same device.",
        ),
        "injected-not-registered": Kind(
            "The credentials are on the board, but it did not register within {timeout} seconds. Its client says: "
            "{client_says}.",
            _LOOK_THERE,
            "The credentials are on these boards, but they did not register in time.",
        ),
        "reconnected-not-registered": Kind(
            "The board did not register within {timeout} seconds. Its client says: {client_says}.",
            _LOOK_THERE,
            "These boards did not register in time.",
        ),
        # What another room says in its own words.
        "store": Kind("{text}", common="The team store does not have what these boards are to hold."),
        "cloud": Kind("{text}"),
        "credentials": Kind("{text}", common="The credentials for these boards break a rule, so they get none."),
    }
)
"""Why a board is refused, or not proven to be registered."""

WORK_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        "holds-nothing": Kind("it holds none of the credentials"),
        "no-record": Kind("it has no record of what was injected"),
        "other-injected": Kind("other credentials were injected"),
        "kcm-changed": Kind("its KCM was changed by another tool since"),
        "lacks-certificate": Kind("it holds no {title} certificate"),
        "holds-other-certificate": Kind("it holds another {title} certificate"),
        "lacks-items": Kind("its KCM lacks {items}"),
        "status-not-good": Kind("its status is not good: {status}"),
        "not-in-store": Kind("the team store does not have its credentials yet"),
        "no-device-id": Kind("its device id is not known"),
        "no-device": Kind("the Device Directory does not have its device {device_id}"),
        "device-state": Kind("the Device Directory has its device as {state}"),
    }
)
"""Why a board is injected, or made to register anew."""

_ROOMS: tuple[tuple[type[PelionError], str], ...] = (
    (StoreError, "store"),
    (VaultError, "store"),
    (DifferentResourcesError, "update-differs"),
    (NotRenewableError, "update-not-renewed"),
    (PlacesError, "store"),
    (ApiError, "cloud"),
    (CredentialError, "credentials"),
)


def code_of(error: PelionError) -> str | None:
    """The code that another room's ``error`` has, itself or by its class; None for one of no known kind."""
    if isinstance(error, BoardError) and "reason" in error.facts:
        return str(error.facts["reason"])
    return next((code for kind, code in _ROOMS if isinstance(error, kind)), None)


def reason_of(error: PelionError, otherwise: str = "credentials") -> Reason:
    """The reason that another room's ``error`` is, its text as a fact; ``otherwise`` is the code where its class does
    not say one."""
    code, facts = code_of(error) or otherwise, error.facts.get("reason_facts", {})
    if not facts or "{text}" in FLEET_REASONS[code].text:
        facts = {**facts, "text": str(error)}
    return Reason(code, facts)


def failure(reason: Reason, **facts: Any) -> PelionError:
    """The failure of a task for ``reason``: its code and facts become ``reason`` and ``reason_facts`` of the result."""
    return PelionError(reason.message(FLEET_REASONS), **coded(reason), **facts)


def coded(reason: Reason) -> dict[str, Any]:
    """The facts of an error by which scripts and reports know ``reason``."""
    return {"reason": reason.code, "reason_facts": dict(reason.facts)}
