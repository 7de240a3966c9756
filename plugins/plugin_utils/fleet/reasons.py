# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fleet's reasons mean, in words: why boards are refused or not proven, and why they are worked on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..board.errors import BoardError
from ..board.reasons import BOARD_REASONS
from ..cloud.errors import ApiError
from ..credentials.rules import CredentialError
from ..errors import PelionError
from ..reasons import Kind, Reason
from ..store.errors import StoreError
from ..store.places import PlacesError
from ..store.vault import VaultError
from ..team.known_certificates import LOST
from ..team.update_keeper import DifferentResourcesError, NotRenewableError

_ROSTER = "provision_pelion_roster"
_IDENTITIES = "provision_pelion_when_bootstrapped to keep_identity or new_identity"
_OF_THE_BOARD = ("no-utility", "utility-broken", "no-space", "read-only", "bad-answer")
_HELD_NAME = {"holds": "The one held is {holds!r}: if that is right, set provision_pelion_dev_cert to it."}
"""After a rotation, the likeliest mistake is a former name in the variables."""
_IMPORT = {
    "mbl_cli_store": "{mbl_cli_store} is also a store of mbl-cli: import what that kept with "
    "pelion.mbl.import_mbl_cli -e src={mbl_cli_store}, then run again."
}
_ASK_THE_CLIENT = (
    "Check that the API key belongs to the certificate's account, and that the board's client runs and reaches the "
    "cloud."
)
_LOOK_THERE = "Check /var/log/mbl-cloud-client.log on the board, its network and its clock, then run again."

FLEET_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        # What stops a run before any board is asked, or decided for.
        "discovery": Kind("{text}"),
        "different-teams": Kind(
            "The boards of this play use different stores or accounts: {first} for {one}, {second} for {other}.",
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
            {"former": "The team knows it as {former}: if it was renamed, change its name in the roster."},
        ),
        "empty-roster": Kind(
            f"{_ROSTER} is empty, so no board gets keys.",
            "List the boards in it. Without that variable all boards get keys.",
        ),
        "host-key-unproven": Kind(
            "Nothing proves which board this is, since {why}. It gets no keys, since they are for boards with known "
            "host keys only.",
            "Let ssh check host keys, and keep them in a file: ANSIBLE_HOST_KEY_CHECKING, host_key_checking and "
            "StrictHostKeyChecking must not be off.",
            "Nothing proves which boards these are, since ssh does not check their host keys. They get no keys.",
        ),
        "new-board": Kind(
            "This board was never provisioned from this team store, and provision_pelion_new_boards is refuse. The "
            "fingerprint of its ssh host key is {host_keys}.",
            f"If it is yours, add its name or that fingerprint to {_ROSTER}, or run once with -e "
            "provision_pelion_new_boards=allow.",
            "These boards were never provisioned from this team store, and provision_pelion_new_boards is refuse.",
        ),
        "changed-board": Kind(
            "The ssh host key of this board has changed since the team provisioned it, and provision_pelion_new_boards "
            "is refuse: either it was flashed anew, or another machine answers in its place. ssh now accepts "
            "{host_keys}.",
            "If you flashed it, run pelion.mbl.forget_host for it, then run again.",
            "The ssh host keys of these boards have changed since the team provisioned them, and "
            "provision_pelion_new_boards is refuse.",
        ),
        "copied": Kind(
            "It has the same {shared} as {others}: one board's storage was copied to the other, or one board is there "
            "under two names.",
            "Decide which board keeps what they share. On the other one, run pelion.mbl.deprovision, then delete its "
            "ssh host key and restart it, run pelion.mbl.forget_host, and provision it.",
            "They have the same ssh host key or device ID as other boards.",
        ),
        # What can be put on a board at all.
        **{code: BOARD_REASONS[code] for code in _OF_THE_BOARD},
        # Update resources.
        "different-ways": Kind(
            "The variables of this run's boards describe {ways} different ways to make the update resources "
            "{update_resources!r}.",
            "Give the boards the same variables, or different names for the update resources.",
            "The variables of this run's boards describe different ways to make update resources of one name.",
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
            "To change to this store's certificate all the same, set when_update_unknown (in the role: "
            "provision_pelion_when_update_unknown) to replace. If another store was used before, use that one.",
            "These boards hold update certificates that the team store {team_store} does not know under any name. Once "
            "they are replaced, the boards take no more updates that are signed with their keys.",
            _IMPORT,
        ),
        "no-key-made": Kind(
            "No key is made for the update resources {update_resources!r}, since {holder} holds an update certificate "
            "({fingerprint:.16}…) that the team store {team_store} does not know.",
            "If this is the right store, set provision_pelion_when_update_unknown to replace for that board.",
            "No keys are made for update resources, since another board holds an update certificate that the team "
            "store {team_store} does not know.",
            _IMPORT,
        ),
        # Developer certificates.
        "would-ignore-certificate": Kind(
            "This board has bootstrapped with another developer certificate, and its client would ignore {dev_cert!r}, "
            "which does not exist yet.",
            f"If the name is right, set {_IDENTITIES}.",
            "These boards have bootstrapped with other developer certificates, and their clients would ignore those of "
            "the names that they wish for, which do not exist yet.",
            _HELD_NAME,
        ),
        "bootstrapped": Kind(
            "This board has already bootstrapped with another developer certificate (common name: "
            "{bootstrapped_with}), and its client would ignore a new one.",
            "Set when_bootstrapped (in the role: provision_pelion_when_bootstrapped) to keep_identity (it bootstraps "
            "again under its device ID) or to new_identity (factory reset: it becomes a new device in the cloud).",
            "These boards have already bootstrapped with other developer certificates, and their clients would ignore "
            "new ones.",
            _HELD_NAME,
        ),
        "certificate-inactive": Kind(
            "The developer certificate {dev_cert!r} is INACTIVE in the cloud, so no board can bootstrap with it.",
            "Use another name, or activate it: run `ansible localhost -m pelion.mbl.pelion_dev_cert -a 'name=NAME "
            "force=true'`.",
            "The developer certificates for these boards are INACTIVE in the cloud, so they cannot bootstrap with "
            "them.",
        ),
        "no-certificate": Kind(
            "There is no developer certificate {dev_cert!r} in the cloud, and provision_pelion_create is false, so it "
            "is not made.",
            "If the name is right, set provision_pelion_create to true.",
            "There are no developer certificates for these boards in the cloud, and provision_pelion_create is false, "
            "so they are not made.",
        ),
        "no-room-create": Kind(
            "There is no room for this board among the developer certificates ({certificates}), and "
            "provision_pelion_create is false, so no other is made.",
            "Set it to true, or delete devices that are no longer needed.",
            "There is no room for these boards among the developer certificates, and provision_pelion_create is false, "
            "so no others are made.",
        ),
        "no-room-account": Kind(
            "There is no room for this board among the developer certificates ({certificates}), and the account may "
            "not have more.",
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
            "The board says that it is device {device_id}, but the Device Directory has seen no bootstrap since "
            "{bootstrapped_at}.",
            _ASK_THE_CLIENT,
            "The Device Directory has seen no new bootstrap of these boards' devices.",
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

_ROTATE = "Run pelion.mbl.rotate for the fleet."
_REGISTER_ANEW = "Run pelion.mbl.provision, which makes sure of a registration with what is held."

READINESS_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        # It takes no updates, or none that the team signs now.
        "no-update-certificate": Kind("It holds no update certificate.", "Run pelion.mbl.provision."),
        "not-our-certificate": Kind(
            "It holds an update certificate ({fingerprint:.16}…) that the team store does not have, so it takes no "
            "update that the team signs.",
            "If another store was used before, use that one. If that is lost, run pelion.mbl.rotate with -e "
            "provision_pelion_when_update_unknown=replace: the boards get this store's certificate, in waves.",
            "They hold update certificates that the team store does not have, so they take no updates that the team "
            "signs.",
        ),
        "certificate-not-stored": Kind(
            "It holds the update certificate in {src} ({fingerprint:.16}…), which the team store does not have.",
            "Add it: run `ansible localhost -m pelion.mbl.mbl_update_resources -a 'name={update_resources} "
            "src={src}'`, with private_key_src=KEY.pem when the key does not lie beside it.",
            "They hold the update certificate in {src}, which the team store does not have.",
        ),
        "former-certificate": Kind(
            "It holds a former certificate of {update_resources!r} ({fingerprint:.16}…), so it takes no update that is "
            "signed with the present key.",
            "Run pelion.mbl.provision. To send an update before that, sign with the former key: "
            "pelion.mbl.export_signing with -e fingerprint=SHA256.",
            "They hold former certificates of update resources, so they take no updates that are signed with the "
            "present keys.",
        ),
        "no-signing-key": Kind(
            "The team store has no signing key for the update resources {update_resources!r}.",
            "If you have the key, add it with pelion.mbl.mbl_update_resources (its options name, src and "
            f"private_key_src). {LOST}",
            "The team store has no signing keys for their update resources.",
        ),
        "key-does-not-sign": Kind(
            "What the key of the update resources {update_resources!r} signs does not verify with their certificate.",
            "Take that entry of the team store from a backup.",
            "What the keys of their update resources sign does not verify with their certificates.",
        ),
        "certificate-ended": Kind(
            "Its {title} certificate has ended ({not_after}).",
            _ROTATE,
            "Their {title} certificates have ended.",
        ),
        "ended-by-its-clock": Kind(
            "By the board's own clock, its update certificate has ended ({not_after}). Its client does not start any "
            "more once the time that it goes by says so.",
            f"Set the board's clock, or its servers for time. If it is right: {_ROTATE}",
            "By the boards' own clocks, their update certificates have ended.",
        ),
        "certificate-ends": Kind(
            "Its {title} certificate ends on {not_after} (days left: {days}).",
            _ROTATE,
            "Their {title} certificates end soon.",
        ),
        "other-ids": Kind(
            "The Device Directory has it with vendor_id {vendor_id} and device_class {device_class}, but "
            "{update_resources!r} have {wanted_vendor_id} and {wanted_device_class}.",
            _REGISTER_ANEW,
            "The Device Directory has them with other vendor and class IDs than their update resources.",
        ),
        "version-ahead": Kind(
            "The update that it took last has the version {timestamp} ({version}), which lies ahead of now: it refuses "
            "every update with an earlier one.",
            "Check this machine's clock. If it is right, give the next update a version that is higher than that.",
            "The updates that they took last have versions that lie ahead of now: they refuse earlier ones.",
        ),
        # It is not known whether it does.
        "store-not-opened": Kind(
            "This run has no vault secret for the team store, so the signing keys were not looked at.",
            "Run again with the vault secret, such as with --ask-vault-pass.",
        ),
        "store-secret-wrong": Kind("{text}", "Run again with the team store's vault secret."),
        "key-not-tried": Kind(
            "The signing key of {update_resources!r} is in a token that could not be asked here. {text}",
            "Run again where the token is, or rely on a proof by the board itself.",
            "The signing keys of their update resources are in tokens that could not be asked here.",
        ),
        "store-not-whole": Kind(
            "Update resources in the team store cannot be read: they may be those that it holds.",
            "The module pelion.mbl.pelion_store_info says which they are and why.",
        ),
        "cloud-not-asked": Kind(
            "The cloud was not asked.", "Run again with the cloud asked (in the role: provision_pelion_verify)."
        ),
        "ids-not-told": Kind(
            "The Device Directory does not say for which vendor and class it takes updates.",
            _REGISTER_ANEW,
        ),
        "registration-older": Kind(
            "Nothing proves that it has registered since its credentials were put there, so the vendor and class IDs "
            "in the Device Directory may be former ones.",
            "Run pelion.mbl.prove_updates: the board itself then says whether it takes them.",
        ),
    }
)
"""Why a board takes no updates, or why it is not known whether it does."""

WORK_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        "holds-nothing": Kind("it holds none of the credentials"),
        "no-record": Kind("it has no record of what was injected"),
        "other-injected": Kind("other credentials were injected"),
        "kcm-changed": Kind("another tool has changed its KCM since"),
        "damaged-items": Kind("copies of items in its KCM are damaged: {items}"),
        "lacks-certificate": Kind("it holds no {title} certificate"),
        "holds-other-certificate": Kind("it holds another {title} certificate"),
        "lacks-items": Kind("its KCM lacks {items}"),
        "status-not-good": Kind("its status is not good: {status}"),
        "bootstrapped-with-other": Kind("it has bootstrapped with another developer certificate ({common_name})"),
        "not-in-store": Kind("the team store does not have its credentials yet"),
        "no-device-id": Kind("its device ID is not known"),
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
    if isinstance(error, BoardError):
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
    """The facts of an error by which scripts and reports know ``reason``; a ``text`` of it is the error's own."""
    facts = {name: fact for name, fact in reason.facts.items() if name != "text"}
    return {"reason": reason.code, "reason_facts": facts}
