# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update resources as the files that the manifest tools sign with."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import yaml

from ..durable_file import replace_file
from ..errors import PelionError
from .c_errors import CSourceError
from .manifest_tool import SIGNING_KEYS
from .rules import CLASS_ID, UPDATE_CERTIFICATE, VENDOR_ID, CredentialError
from .signing_key import is_in_token
from .update_resources import UpdateResources

C_FILE = "update_default_resources.c"
CERTIFICATES = (".update-certificates/default.der", ".manifest-dev-tool/dev.cert.der")
KEYS = SIGNING_KEYS


class SigningFilesError(PelionError):
    """The files cannot be written; ``path``, among the facts, is the one that stands in the way."""


class SigningFiles:
    """The files below ``directory`` from which manifest-tool 1.x and manifest-dev-tool 2.x take key and ids.

    They are those of what update resources hold now, or of the certificate with the ``fingerprint`` (SHA-256, hex, at
    least its first 16 digits) that they hold or held. ``vendor_domain`` and ``device_class`` are noted for 1.x where
    they are known; it needs only the ids. With a ``signing_tool``, a program that signs with the key of a certificate,
    no key is written, and nothing for 1.x, which needs one. Nothing that is there already is changed.
    """

    def __init__(
        self,
        directory: Path,
        vendor_domain: str | None = None,
        device_class: str | None = None,
        *,
        fingerprint: str | None = None,
        signing_tool: Path | None = None,
    ) -> None:
        self._directory = directory
        self._vendor_domain = vendor_domain
        self._device_class = device_class
        self._fingerprint = fingerprint
        self._signing_tool = signing_tool

    def require_possible(self, resources: UpdateResources) -> None:
        """Raise SigningFilesError when there is no such certificate, no key to write, no place, or a file that would be
        overwritten."""
        held = self._held(resources)
        if held.private_key is None:
            raise SigningFilesError(
                f"export_dir needs a private key to write to {self._directory}, and for the certificate "
                f"{held.fingerprint[:16]}… {resources.source} has none: it came from a C file. Give the key that "
                "belongs to it with private_key_src."
            )
        if is_in_token(held.private_key) and not self._signing_tool:
            raise SigningFilesError(
                f"The key for the certificate {held.fingerprint[:16]}… is in a token and cannot be written. Set "
                "key_in_clear to false, for files that sign with it there."
            )
        place = next(path for path in (self._directory, *self._directory.absolute().parents) if path.exists())
        if not place.is_dir():
            raise SigningFilesError(f"export_dir: {place} is not a directory.", path=str(place))
        if not os.access(place, os.W_OK | os.X_OK):
            raise SigningFilesError(f"export_dir: you may not write to {place}.", path=str(place))
        self._require_private(place)
        for name, content in self._contents(held).items():
            found = self._content(name)
            if found is not None and not _says(name, found, content):
                raise SigningFilesError(
                    f"{self._directory / name} differs from what would be written there for the certificate "
                    f"{held.fingerprint[:16]}…, and is not overwritten. Move it away, or choose another export_dir.",
                    path=str(self._directory / name),
                )

    def _require_private(self, place: Path) -> None:
        """``place`` is the directory, or the nearest one around it that is there."""
        around = place.resolve()
        tree = next((path for path in (around, *around.parents) if os.path.lexists(path / ".git")), None)
        if tree:
            raise SigningFilesError(
                f"export_dir: {self._directory} is in the git work tree {tree}, where a key in clear is one commit "
                "away from everybody who has a clone. Choose a directory outside it.",
                path=str(tree),
            )
        if place == self._directory and place.stat().st_mode & 0o077:
            raise SigningFilesError(
                f"export_dir: others may look into {place}. Run chmod 700 for it, or choose a new directory.",
                path=str(place),
            )

    def write(self, resources: UpdateResources, *, dry_run: bool = False) -> list[str]:
        """Write what is not there; return the paths. Keys get the mode 0600, also one that is there, new directories
        0700."""
        self.require_possible(resources)
        written = []
        try:
            for name, content in self._contents(self._held(resources)).items():
                path = self._directory / name
                mode = 0o600 if name in KEYS else 0o644
                if path.exists() and (mode == 0o644 or not path.stat().st_mode & 0o077):
                    continue
                written.append(str(path))
                if not dry_run:
                    _make_private_directory(path.parent)
                    replace_file(path, content, mode)
        except OSError as error:
            raise SigningFilesError(
                f"{self._directory} cannot be written: {error.strerror}.", path=str(self._directory)
            ) from error
        return written

    def _held(self, resources: UpdateResources) -> UpdateResources:
        """Those whose files these are."""
        if self._fingerprint is None:
            return resources
        given = self._fingerprint.lower()
        if not re.fullmatch("[0-9a-f]{16,64}", given):
            raise SigningFilesError(
                f"fingerprint is {self._fingerprint!r}, but must be the SHA-256 of a certificate, at least its first "
                "16 hexadecimal digits."
            )
        held = next((old for old in reversed(resources.all_held) if old.fingerprint.startswith(given)), None)
        if held is None:
            there = ", ".join(old.fingerprint for old in resources.all_held)
            raise SigningFilesError(
                f"{resources.source} never had a certificate with the fingerprint {given}. It has had: {there}."
            )
        return held

    def _contents(self, resources: UpdateResources) -> dict[str, bytes]:
        settings = {
            "certificate": CERTIFICATES[1],
            "class-id": resources.class_id.hex,
            "key_file": KEYS[1],
            "vendor-id": resources.vendor_id.hex,
        }
        contents = {C_FILE: c_file(resources)}
        if self._signing_tool:
            # It is called with the key's name, which is here that of the certificate beside it.
            settings |= {"key_file": resources.fingerprint, "signing-tool": str(self._signing_tool)}
            contents[CERTIFICATES[1]] = resources.der
        else:
            contents |= dict.fromkeys(CERTIFICATES, resources.der)
            contents |= dict.fromkeys(KEYS, resources.private_key or b"")
            contents[".manifest_tool.json"] = self._settings_of_1x(resources)
        contents[".manifest-dev-tool/dev.cfg.yaml"] = yaml.safe_dump(settings).encode()
        return contents

    def _settings_of_1x(self, resources: UpdateResources) -> bytes:
        settings: dict[str, object] = {
            "classId": str(resources.class_id),
            "default-certificates": [{"file": CERTIFICATES[0]}],
            "deviceURNs": [],
            "private-key": KEYS[0],
            "vendorId": str(resources.vendor_id),
        }
        if self._vendor_domain:
            settings |= {"vendorDomain": self._vendor_domain, "modelName": self._device_class}
        return json.dumps(settings, indent=4, sort_keys=True).encode() + b"\n"

    def _content(self, name: str) -> bytes | None:
        try:
            return (self._directory / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def _says(name: str, found: bytes, content: bytes) -> bool:
    """Whether a file of that name says what ``content`` says, though a tool may have written it in its own style, and
    settings may say more."""
    if found == content:
        return True
    try:
        if name == C_FILE:
            there, ours = (UpdateResources.from_c_source(text, name) for text in (found, content))
            return there.values == ours.values
        if name.endswith((".json", ".yaml")):
            settings, ours = yaml.safe_load(found), yaml.safe_load(content)
            return isinstance(settings, dict) and all(settings.get(key) == value for key, value in ours.items())
    except (CSourceError, CredentialError, yaml.YAMLError):
        pass
    return False


def c_file(resources: UpdateResources) -> bytes:
    """``update_default_resources.c`` with all that the clients of manifest-tool 1.x's and 2.x's time refer to."""
    arrays = {
        VENDOR_ID: resources.values[VENDOR_ID],
        CLASS_ID: resources.values[CLASS_ID],
        "arm_uc_default_fingerprint": bytes.fromhex(resources.fingerprint),
        UPDATE_CERTIFICATE: resources.der,
        "arm_uc_update_public_key": resources.public_point,
    }
    parts = [
        "// Written by the Ansible collection pelion.mbl; do not edit.\n#include <stdint.h>\n",
        *(_array(name, value) for name, value in arrays.items()),
    ]
    return "\n".join(parts).encode()


def _array(name: str, value: bytes) -> str:
    rows = [", ".join(f"0x{octet:02x}" for octet in value[start : start + 8]) for start in range(0, len(value), 8)]
    body = ",\n    ".join(rows)
    return f"const uint8_t {name}[] = {{\n    {body}\n}};\nconst uint16_t {name}_size = sizeof({name});\n"


def _make_private_directory(directory: Path) -> None:
    if not directory.parent.exists():
        _make_private_directory(directory.parent)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
