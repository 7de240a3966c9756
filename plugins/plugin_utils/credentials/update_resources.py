# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets a board accept updates: the values of ``update_default_resources.c``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from ..libraries import Absent, is_installed
from ..times import parse_time, time_text
from .c_errors import CSourceError
from .c_source import CSource, parse_c_source
from .certified import Certified
from .rules import (
    CLASS_ID,
    UPDATE_CERTIFICATE,
    UPDATE_RULES,
    VENDOR_ID,
    CredentialError,
    load_certificate,
    pem,
    pem_bytes,
    require,
    validity_notices,
)
from .signing_key import is_in_token
from .token_key import TokenKey

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
else:
    Encoding = PublicFormat = load_pem_private_key = Absent()


REQUIRED = (UPDATE_CERTIFICATE, VENDOR_ID, CLASS_ID)
_EXPECTED = "an update_default_resources.c of the manifest tool"


@dataclass(frozen=True)
class UpdateResources(Certified):
    """The update certificate and the ids of a kind of device.

    ``values`` has the certificate's DER and the two ids of 16 bytes by the names of their C variables.
    ``private_key`` signs updates: PEM, or the URI of a key in a token; None when the team does not have it. ``former``
    are the resources that this entry held before, the oldest first, themselves without former ones: boards that still
    carry an older certificate take only updates for its ids that its key signed. ``source`` is how errors call all
    this. ``made`` is when the certificate was made, where it was made here: it is dated back.
    """

    KIND: ClassVar[str] = "update-resources"

    values: Mapping[str, bytes] = field(repr=False)
    private_key: bytes | None = field(default=None, repr=False)
    former: tuple[UpdateResources, ...] = field(default=(), repr=False)
    source: str = field(default="the update resources", compare=False)
    made: datetime | None = field(default=None, compare=False)

    @classmethod
    def from_c_source(cls, text: bytes, source: str) -> UpdateResources:
        """The resources in the C file ``text``, as any manifest-tool from 1.3 to 2.6 writes it.

        Raises CSourceError when it is no such file, CredentialError when a value breaks a rule other
        than those on time.
        """
        try:
            file = parse_c_source(text, source)
        except CSourceError as error:
            if error.line is None:
                raise
            raise CSourceError(source, error.line, error.reason, _EXPECTED) from None
        missing = [key for key in REQUIRED if key not in file.constants]
        if missing:
            raise CSourceError(source, None, _what_it_is(file, missing))
        values = {key: file.constants[key].value for key in REQUIRED}
        resources = cls(values, source=source)
        resources._require_rules()
        _require_consistent(file, resources)
        return resources

    def check(self, now: datetime | None = None, warn_days: int = 30) -> list[str]:
        """Apply all rules; return notices for the user. Raises CredentialError for a broken rule."""
        self._require_rules()
        now = now or datetime.now(timezone.utc)
        return validity_notices(UPDATE_CERTIFICATE, self.certificate, self.source, now, warn_days)

    def _require_rules(self) -> None:
        require(UPDATE_RULES, self.values, self.source)
        if self.private_key is None:
            return
        if is_in_token(self.private_key):
            try:
                TokenKey.of(self.private_key.decode())
            except ValueError as error:
                raise CredentialError("private_key", self.source, "URI", str(error)) from None
            return
        try:
            key = load_pem_private_key(self.private_key, password=None)
        except (ValueError, TypeError):
            raise CredentialError("private_key", self.source, "PEM", "is not a PEM private key") from None
        if key.public_key() != self.certificate.public_key():
            raise CredentialError("private_key", self.source, "pair", "does not belong to the certificate")

    @property
    def der(self) -> bytes:
        """The update certificate."""
        return self.values[UPDATE_CERTIFICATE]

    @property
    def made_at(self) -> datetime:
        """When the certificate was made, or begins where that is not known."""
        return self.made or self.not_before

    @property
    def vendor_id(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.values[VENDOR_ID])

    @property
    def class_id(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.values[CLASS_ID])

    @property
    def public_point(self) -> bytes:
        """The public key as 65 bytes: 4, X, Y."""
        return self.certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def all_held(self) -> tuple[UpdateResources, ...]:
        """The former resources, the oldest first, then these; each without its former ones."""
        return (*self.former, replace(self, former=()))

    def succeeding(self, earlier: UpdateResources) -> UpdateResources:
        """These resources in the place of ``earlier``, with all that it held, keys included."""
        held = earlier.all_held
        same = [old for old in held if old.der == self.der]
        key = next((old.private_key for old in reversed(same) if old.private_key), self.private_key)
        made = next((old.made for old in same if old.made), self.made)
        former = tuple(old for old in held if old.values != self.values)
        return replace(self, private_key=key, former=former, made=made)

    def to_document(self) -> dict[str, Any]:
        """Plain data for YAML: the certificate and keys as PEM, the ids as UUIDs."""
        document: dict[str, Any] = {
            "vendor_id": str(self.vendor_id),
            "class_id": str(self.class_id),
            "certificate": pem("CERTIFICATE", self.der),
        }
        if self.made is not None:
            document["made"] = time_text(self.made)
        if self.private_key is not None:
            document["private_key"] = self.private_key.decode("ascii")
        if self.former:
            document["former"] = [old.to_document() for old in self.former]
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any], source: str) -> UpdateResources:
        """The resources that ``to_document`` gave. Raises CredentialError when something is amiss."""
        field_name = "certificate"
        try:
            certificate = pem_bytes(document[field_name])
            load_certificate(certificate)
            field_name = "vendor_id"
            vendor = uuid.UUID(document[field_name]).bytes
            field_name = "class_id"
            device_class = uuid.UUID(document[field_name]).bytes
            field_name = "private_key"
            key = document.get(field_name)
            private_key = None if key is None else key.encode("ascii")
            field_name = "made"
            made = parse_time(document[field_name]) if field_name in document else None
            field_name = "former"
            # Stores of the first days have former certificates without ids: the entry's own.
            ids = {"vendor_id": document["vendor_id"], "class_id": document["class_id"]}
            former = tuple(cls.from_document({**ids, **old}, source) for old in document.get(field_name, []))
        except KeyError:
            raise CredentialError(field_name, source, "complete", "is missing") from None
        except (ValueError, AttributeError, TypeError):
            raise CredentialError(field_name, source, "readable", "cannot be read") from None
        values = {UPDATE_CERTIFICATE: certificate, VENDOR_ID: vendor, CLASS_ID: device_class}
        return cls(values, private_key, former, source, made)


def _require_consistent(file: CSource, resources: UpdateResources) -> None:
    """The files state some of the certificate's properties again; an edited file disagrees with itself."""
    derived = {
        "arm_uc_default_fingerprint": bytes.fromhex(resources.fingerprint),
        "arm_uc_update_public_key": resources.public_point,
    }
    for name, value in derived.items():
        stated = file.constants.get(name)
        # manifest-tool 2.x writes a single 0 for a fingerprint that nothing uses.
        if stated and any(stated.value) and stated.value != value:
            raise CSourceError(
                file.name, stated.line, f"{name} is not that of {UPDATE_CERTIFICATE}; the file was edited or damaged"
            )


def _what_it_is(file: CSource, missing: list[str]) -> str:
    if any(name.startswith("MBED_CLOUD_DEV_") for name in file.constants):
        return "holds developer credentials (MBED_CLOUD_DEV_…), not update resources (arm_uc_…)"
    if len(missing) == len(REQUIRED):
        reason = "holds no update resources (arm_uc_…)"
    else:
        reason = f"does not have {', '.join(missing)}; write it again with the manifest tool's init"
    return reason + (f". Left out by the preprocessor: {', '.join(file.left_out)}" if file.left_out else "")
