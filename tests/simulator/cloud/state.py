# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's memory and its rules; every other part asks here."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import wraps
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from . import service_error as refuse
from .issuing import DEVELOPER_DAYS, Authority, Identity, device_id_of, issue_developer
from .links import Told
from .queries import chosen_devices
from .records import (
    CERTIFICATES_OF_TIER,
    DEVELOPER_MODE,
    DEVICES_PER_DEVELOPER_CERTIFICATE,
    Account,
    ApiKey,
    Device,
    Group,
    TrustedCertificate,
)
from .security_file import security_file
from .service_error import ServiceError, invalid
from .times import now
from .updates import Updates

DEVICE_STATES = ("unenrolled", "cloud_enrolling", "bootstrapped", "registered", "deregistered")
_F = TypeVar("_F", bound=Callable[..., Any])


def _atomic(method: _F) -> _F:
    @wraps(method)
    def locked(self: State, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return method(self, *args, **kwargs)

    return locked  # type: ignore[return-value]


class RefusalError(Exception):
    """Why a device was sent away, for its log, and the response code, such as ``4.03``."""

    def __init__(self, reason: str, code: str = "4.03") -> None:
        super().__init__(reason)
        self.code = code


class State:
    """Accounts, API keys, trusted certificates and devices, each in the order of creation.

    Methods that the API calls raise ServiceError; those that devices reach raise RefusalError.
    Safe to use from several threads.
    """

    def __init__(self, bootstrap_uri: str, lwm2m_uri: str) -> None:
        self._lock = threading.RLock()
        self.bootstrap_uri = bootstrap_uri
        self.lwm2m_uri = lwm2m_uri
        self.bootstrap_ca = Authority("Lab bootstrap root CA")
        self.lwm2m_ca = Authority("Lab LwM2M root CA")
        self.started_at = now()
        self.accounts: dict[str, Account] = {}
        self.certificates: dict[str, TrustedCertificate] = {}
        self.devices: dict[str, Device] = {}
        self.groups: dict[str, Group] = {}
        self._keys: dict[str, ApiKey] = {}
        self._answer_when_full = "4.03"
        self.updates = Updates(
            self._lock,
            self.devices,
            lambda account_id, device_filter: chosen_devices(self.devices_of(account_id), device_filter),
            lambda account_id: self.accounts[account_id].tier,
        )

    # --- accounts and keys

    @_atomic
    def add_account(self, tier: str = "1") -> tuple[Account, str]:
        """A new account, and an API key for it."""
        account = Account(new_id(), tier, CERTIFICATES_OF_TIER[tier])
        self.accounts[account.id] = account
        key = "ak_1" + base64.b64encode(account.id.encode()).decode().rstrip("=") + new_id() + secrets.token_hex(16)
        self._keys[key] = ApiKey(account.id, new_id())
        return account, key

    @_atomic
    def authenticate(self, key: str) -> ApiKey:
        try:
            return self._keys[key]
        except KeyError:
            raise refuse.unauthorized() from None

    @_atomic
    def set_account(self, account_id: str, tier: str | None = None, certificate_limit: int | None = None) -> None:
        account = self.accounts[account_id]
        if tier is not None:
            account.tier, account.certificate_limit = tier, CERTIFICATES_OF_TIER[tier]
        if certificate_limit is not None:
            account.certificate_limit = certificate_limit

    # --- trusted certificates

    @_atomic
    def certificates_of(self, account_id: str) -> list[TrustedCertificate]:
        return [certificate for certificate in self.certificates.values() if certificate.account_id == account_id]

    @_atomic
    def certificate(self, account_id: str, certificate_id: str) -> TrustedCertificate:
        found = self.certificates.get(certificate_id)
        if found is None or found.account_id != account_id:
            raise refuse.not_found(certificate_id)
        return found

    @_atomic
    def developer_certificate(self, account_id: str, certificate_id: str) -> TrustedCertificate:
        found = self.certificate(account_id, certificate_id)
        if not found.is_developer:
            raise refuse.not_found(certificate_id)
        return found

    @_atomic
    def create_developer_certificate(self, key: ApiKey, name: str, description: str | None) -> TrustedCertificate:
        self._check_new(key.account_id, name)
        return self._issue_developer(key.account_id, name, description, key.owner)

    @_atomic
    def upload_certificate(
        self, key: ApiKey, name: str, description: str | None, service: str, der: bytes, status: str = "ACTIVE"
    ) -> TrustedCertificate:
        self._check_new(key.account_id, name, der)
        uploaded = TrustedCertificate(
            new_id(), key.account_id, name, description, service, der, key.owner, None, None, status
        )
        self.certificates[uploaded.id] = uploaded
        return uploaded

    @_atomic
    def update_certificate(
        self, account_id: str, certificate_id: str, changes: Mapping[str, Any]
    ) -> TrustedCertificate:
        """``changes``: any of name, description, service, status, der."""
        found = self.certificate(account_id, certificate_id)
        changes = dict(changes)
        der = changes.pop("der", None)
        if found.is_developer and (der is not None or changes.get("service", found.service) != found.service):
            raise invalid("certificate", "A developer certificate cannot be replaced.")
        if changes.get("name", found.name) != found.name:
            self._check_unique(account_id, changes["name"])
        if der is not None:
            found.hold(der)
        for field, value in changes.items():
            setattr(found, field, value)
        found.changed()
        return found

    @_atomic
    def delete_certificate(self, account_id: str, certificate_id: str) -> None:
        del self.certificates[self.certificate(account_id, certificate_id).id]

    def security_file(self, certificate: TrustedCertificate) -> str:
        """``security_file_content`` of a developer certificate."""
        assert certificate.endpoint_name and certificate.private_key
        return security_file(
            certificate.endpoint_name,
            certificate.account_id,
            f"{self.bootstrap_uri}?aid={certificate.account_id}",
            certificate.der,
            certificate.private_key,
            self.bootstrap_ca.certificate,
            self.lwm2m_ca.certificate,
        )

    def _check_new(self, account_id: str, name: str, der: bytes | None = None) -> None:
        self._check_unique(account_id, name, der)
        limit = self.accounts[account_id].certificate_limit
        if len(self.certificates_of(account_id)) >= limit:
            raise refuse.certificate_limit(limit)

    def _check_unique(self, account_id: str, name: str, der: bytes | None = None) -> None:
        if any(other.name == name or other.der == der for other in self.certificates_of(account_id)):
            raise refuse.duplicate()

    def _issue_developer(
        self, account_id: str, name: str, description: str | None, owner: str | None, days: int = DEVELOPER_DAYS
    ) -> TrustedCertificate:
        endpoint_name = new_id()
        identity = issue_developer(account_id, endpoint_name, days_left=days)
        made = TrustedCertificate(
            id=new_id(),
            account_id=account_id,
            name=name,
            description=description,
            service="bootstrap",
            der=identity.certificate,
            owner_id=owner,
            private_key=identity.private_key,
            endpoint_name=endpoint_name,
        )
        self.certificates[made.id] = made
        return made

    # --- the device directory

    @_atomic
    def devices_of(self, account_id: str) -> list[Device]:
        self._end_registrations()
        return [device for device in self.devices.values() if device.account_id == account_id]

    @_atomic
    def device(self, account_id: str, device_id: str) -> Device:
        self._end_registrations()
        found = self.devices.get(device_id)
        if found is None or found.account_id != account_id:
            raise refuse.not_found(device_id)
        return found

    @_atomic
    def update_device(self, account_id: str, device_id: str, changes: Mapping[str, Any]) -> Device:
        found = self.device(account_id, device_id)
        for field, value in changes.items():
            setattr(found, field, value)
        found.changed()
        return found

    @_atomic
    def delete_device(self, account_id: str, device_id: str) -> None:
        found = self.device(account_id, device_id)
        if found.device_execution_mode != DEVELOPER_MODE:
            raise ServiceError(
                400, "validation_error", "Bad Request. Only devices with a developer certificate can be deleted."
            )
        for group_id in list(found.groups):
            self.leave_group(account_id, group_id, device_id)
        del self.devices[found.id]

    @_atomic
    def groups_of(self, account_id: str) -> list[Group]:
        return [group for group in self.groups.values() if group.account_id == account_id]

    @_atomic
    def group(self, account_id: str, group_id: str) -> Group:
        found = self.groups.get(group_id)
        if found is None or found.account_id != account_id:
            raise refuse.not_found(group_id)
        return found

    @_atomic
    def create_group(self, account_id: str, name: str, description: str, attributes: dict[str, str]) -> Group:
        if any(group.name == name for group in self.groups_of(account_id)):
            raise ServiceError(409, "duplicate", "Conflict. Group name already exists.")
        made = Group(new_id(), account_id, name, description, attributes)
        self.groups[made.id] = made
        return made

    @_atomic
    def join_group(self, account_id: str, group_id: str, device_id: str) -> None:
        """One that is in it already stays so."""
        group, device = self.group(account_id, group_id), self.device(account_id, device_id)
        if device_id not in group.devices:
            group.devices.append(device_id)
            device.groups.append(group_id)
            group.changed()

    @_atomic
    def leave_group(self, account_id: str, group_id: str, device_id: str) -> None:
        group, device = self.group(account_id, group_id), self.device(account_id, device_id)
        if device_id in group.devices:
            group.devices.remove(device_id)
            device.groups.remove(group_id)
            group.changed()

    # --- what devices ask

    @_atomic
    def bootstrap(self, der: bytes, endpoint_name: str, account_id: str, device_id: str) -> tuple[Device, Identity]:
        """The directory entry of the device that presented ``der``, and its new LwM2M credentials.

        The device says the rest of itself: the names of its endpoint and its account, and the id that it was
        given before, or "".
        """
        fingerprint = hashlib.sha256(der).hexdigest()
        certificate = next((c for c in self.certificates.values() if c.fingerprint == fingerprint), None)
        if certificate is None or not certificate.is_developer:
            raise RefusalError("the certificate is not known to any account")
        if certificate.status != "ACTIVE":
            raise RefusalError(f"the developer certificate {certificate.id} is inactive")
        if not certificate.valid:
            raise RefusalError(f"the developer certificate {certificate.id} has expired")
        if endpoint_name != certificate.endpoint_name:
            raise RefusalError("the endpoint name is not the certificate's", "4.00")
        if account_id != certificate.account_id:
            raise RefusalError("the account of the URI is not the certificate's", "4.00")
        device = self.devices.get(device_id)
        if device is None or device.account_id != certificate.account_id:
            device = None
        taken = sum(other.ca_id == certificate.id and other is not device for other in self.devices.values())
        if taken >= DEVICES_PER_DEVELOPER_CERTIFICATE and self._answer_when_full != "accept":
            raise RefusalError(
                f"the developer certificate {certificate.id} has its {DEVICES_PER_DEVELOPER_CERTIFICATE} devices",
                self._answer_when_full,
            )
        if device is None:
            device = Device(new_id(), certificate.account_id, certificate.id, "bootstrapped", DEVELOPER_MODE)
            self.devices[device.id] = device
        credentials = self.lwm2m_ca.issue_device(endpoint_name, device.id)
        device.state = "bootstrapped"
        device.ca_id = certificate.id
        device.device_execution_mode = DEVELOPER_MODE
        device.device_key = hashlib.sha256(credentials.certificate).hexdigest()
        device.bootstrapped_timestamp = now()
        device.bootstrap_expiration = certificate.not_after
        device.connector_expiration = x509.load_der_x509_certificate(credentials.certificate).not_valid_after_utc
        device.changed()
        return device, credentials

    @_atomic
    def register(self, der: bytes, lifetime: float, endpoint_type: str, told: Told) -> Device:
        """The entry of the device that presented the LwM2M certificate ``der``, registered for ``lifetime`` seconds,
        with what it ``told`` of itself."""
        device = self._holder(der)
        device.endpoint_type = endpoint_type
        device.vendor_id = told.vendor_id or ""
        device.device_class = told.device_class or ""
        device.manifest_timestamp = None if told.version is None else datetime.fromtimestamp(told.version, timezone.utc)
        device.register(lifetime)
        return device

    @_atomic
    def update_registration(self, der: bytes, device_id: str, lifetime: float | None) -> Device:
        """Its entry, ``device_id``, registered anew for the same time or for ``lifetime``."""
        device = self._registered(der, device_id)
        device.register(lifetime)
        return device

    @_atomic
    def deregister(self, der: bytes, device_id: str) -> Device:
        """Its entry, ``device_id``, now deregistered."""
        device = self._registered(der, device_id)
        device.state = "deregistered"
        device.changed()
        return device

    def _registered(self, der: bytes, device_id: str) -> Device:
        self._end_registrations()
        device = self._holder(der)
        if device.id != device_id or device.state != "registered":
            raise RefusalError("there is no such registration", "4.04")
        return device

    def _end_registrations(self) -> None:
        for device in self.devices.values():
            device.end_registration()

    def _holder(self, der: bytes) -> Device:
        certificate = x509.load_der_x509_certificate(der)
        if not self.lwm2m_ca.issued(certificate):
            raise RefusalError("the certificate is none of the LwM2M server's")
        device = self.devices.get(device_id_of(certificate))
        if device is None:
            raise RefusalError("the device is not in the directory")
        return device

    # --- for tests: what no API call does

    @_atomic
    def seed_certificates(
        self,
        count: int,
        prefix: str = "seeded-",
        *,
        account_id: str | None = None,
        days_left: int = DEVELOPER_DAYS,
    ) -> list[str]:
        """Ids of ``count`` new developer certificates ``<prefix>0`` …, whatever the account's limit."""
        account_id = account_id or self._first_account()
        return [
            self._issue_developer(account_id, f"{prefix}{number}", None, None, days_left).id for number in range(count)
        ]

    @_atomic
    def seed_devices(
        self,
        count: int,
        certificate_id: str | None = None,
        *,
        account_id: str | None = None,
        state: str = "registered",
        device_execution_mode: int = DEVELOPER_MODE,
        vendor_id: str = "",
        device_class: str = "",
        update_answer: int | None = None,
    ) -> list[str]:
        """Ids of ``count`` new directory entries. ``update_answer``: what they answer to each manifest, 0 for nothing;
        None: no manifest reaches them."""
        account_id = account_id or self._first_account()
        made = [
            Device(
                new_id(),
                account_id,
                certificate_id,
                _device_state(state),
                device_execution_mode,
                vendor_id=vendor_id,
                device_class=device_class,
                update_answer=update_answer,
            )
            for _unused in range(count)
        ]
        for device in made:
            device.bootstrapped_timestamp = device.created_at
        self.devices.update((device.id, device) for device in made)
        return [device.id for device in made]

    @_atomic
    def forget(self) -> None:
        """Accounts and their keys stay, with nothing in them."""
        self.certificates.clear()
        self.groups.clear()
        self.updates.forget()
        self.devices.clear()  # the same dict is that of self.updates

    @_atomic
    def set_answer_when_full(self, answer: str) -> None:
        """What a developer certificate's device 101 is answered: ``4.00``, ``4.03``, or ``accept``.

        What the service answers is not known. Raises ValueError for another answer.
        """
        if answer not in ("4.00", "4.03", "accept"):
            raise ValueError(f"{answer!r} is none of 4.00, 4.03, accept")
        self._answer_when_full = answer

    @_atomic
    def set_device_state(self, device_id: str, state: str) -> None:
        """Put a directory entry into ``state``, such as ``deregistered``. Raises ValueError for an unknown one."""
        device = self.devices[device_id]
        device.state = _device_state(state)
        device.registered_until = None
        device.changed()

    @_atomic
    def set_installed(self, device_id: str, timestamp: int | None) -> None:
        """That a device has the firmware of a manifest of ``timestamp`` (seconds since 1970)."""
        moment = None if timestamp is None else datetime.fromtimestamp(timestamp, timezone.utc)
        self.devices[device_id].manifest_timestamp = moment

    @_atomic
    def reissue_certificate(self, certificate_id: str, days_left: int = 0) -> None:
        """Make a developer certificate anew, for a new key, so that it ends in ``days_left`` days; 0: it has ended."""
        certificate = self.certificates[certificate_id]
        if certificate.endpoint_name is None:
            raise ValueError(f"{certificate_id} is no developer certificate")
        identity = issue_developer(certificate.account_id, certificate.endpoint_name, days_left=days_left)
        certificate.private_key = identity.private_key
        certificate.hold(identity.certificate)

    @_atomic
    def snapshot(self) -> dict[str, Any]:
        """All certificates, devices, groups, manifests and campaigns as JSON, for "nothing was changed" in tests; no
        private key is in it."""
        self._end_registrations()
        return {
            "certificates": [certificate.to_json() for certificate in self.certificates.values()],
            "devices": [device.to_json() for device in self.devices.values()],
            "groups": [group.to_json() for group in self.groups.values()],
            **self.updates.snapshot(),
        }

    def _first_account(self) -> str:
        return next(iter(self.accounts))


def certificate_der(pem: str) -> bytes:
    """Raises ServiceError (400) when ``pem`` is no certificate."""
    try:
        return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except ValueError:
        raise invalid("certificate", "Invalid X.509 certificate.") from None


def new_id() -> str:
    return secrets.token_hex(16)


def _device_state(state: str) -> str:
    if state not in DEVICE_STATES:
        raise ValueError(f"{state!r} is none of {', '.join(DEVICE_STATES)}")
    return state
