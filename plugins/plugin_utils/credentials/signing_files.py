# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update resources as the files that the manifest tools sign with."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import yaml

from ..errors import PelionError
from ..store.durable_file import replace_file
from .c_errors import CSourceError
from .c_source import read_c_file
from .rules import CLASS_ID, UPDATE_CERTIFICATE, VENDOR_ID, CredentialError
from .update_resources import UpdateResources

C_FILE = "update_default_resources.c"
CERTIFICATES = (".update-certificates/default.der", ".manifest-dev-tool/dev.cert.der")
KEYS = (".update-certificates/default.key.pem", ".manifest-dev-tool/dev.key.pem")


class SigningFilesError(PelionError):
    """The files cannot be written."""


class SigningFiles:
    """The files below ``directory`` from which manifest-tool 1.x and manifest-dev-tool 2.x take key and ids.

    ``vendor_domain`` and ``device_class`` are noted for 1.x where they are known; it needs only the ids.
    """

    def __init__(self, directory: Path, vendor_domain: str | None = None, device_class: str | None = None) -> None:
        self._directory = directory
        self._vendor_domain = vendor_domain
        self._device_class = device_class

    def require_possible(self, resources: UpdateResources) -> None:
        """Raise SigningFilesError when there is no key to write, no place, or what would be overwritten."""
        if resources.private_key is None:
            raise SigningFilesError(
                f"export_dir needs a private key to write to {self._directory}, and {resources.source} has none: "
                "it came from a C file. Give the key that belongs to it with private_key_src."
            )
        place = next(path for path in (self._directory, *self._directory.absolute().parents) if path.exists())
        if not place.is_dir():
            raise SigningFilesError(f"export_dir: {place} is not a directory.", path=str(place))
        if not os.access(place, os.W_OK | os.X_OK):
            raise SigningFilesError(f"export_dir: you may not write to {place}.", path=str(place))
        ours = {resources.private_key, *(pair.private_key for pair in resources.former)}
        for name in KEYS:
            found = self._content(name)
            if found is not None and found not in ours:
                raise SigningFilesError(
                    f"{self._directory / name} is another key than that of {resources.source}, and would be lost. "
                    "Move it away, or choose another export_dir.",
                    path=str(self._directory / name),
                )
        certificates = {resources.fingerprint, *(pair.fingerprint for pair in resources.former)}
        c_file = self._existing_c_file()
        if c_file is not None and c_file.fingerprint not in certificates:
            raise SigningFilesError(
                f"{self._directory / C_FILE} holds another certificate than {resources.source}. "
                "Move it away, or choose another export_dir.",
                path=str(self._directory / C_FILE),
            )

    def write(self, resources: UpdateResources, *, dry_run: bool = False) -> list[str]:
        """Write what differs; return the paths. Keys get the mode 0600, new directories 0700."""
        self.require_possible(resources)
        written = []
        try:
            for name, content in self._contents(resources).items():
                path = self._directory / name
                mode = 0o600 if name in KEYS else 0o644
                if self._content(name) == content and (mode == 0o644 or not path.stat().st_mode & 0o077):
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

    def _contents(self, resources: UpdateResources) -> dict[str, bytes]:
        certificate = resources.values[UPDATE_CERTIFICATE]
        contents: dict[str, bytes] = {}
        found = self._existing_c_file()
        # What another tool wrote in its own style stays when it says the same.
        if found is None or found.values != resources.values:
            contents[C_FILE] = c_file(resources)
        contents |= dict.fromkeys(CERTIFICATES, certificate)
        contents |= dict.fromkeys(KEYS, resources.private_key or b"")
        contents[".manifest_tool.json"] = self._settings_of_1x(resources)
        contents[".manifest-dev-tool/dev.cfg.yaml"] = yaml.safe_dump(
            {
                "certificate": CERTIFICATES[1],
                "class-id": resources.class_id.hex,
                "key_file": KEYS[1],
                "vendor-id": resources.vendor_id.hex,
            }
        ).encode()
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

    def _existing_c_file(self) -> UpdateResources | None:
        path = self._directory / C_FILE
        if not path.exists():
            return None
        try:
            return UpdateResources.from_c_source(read_c_file(path), str(path))
        except (CSourceError, CredentialError) as error:
            raise SigningFilesError(
                f"{path} is there already and cannot be read, so it is not overwritten: {error}", path=str(path)
            ) from error


def c_file(resources: UpdateResources) -> bytes:
    """``update_default_resources.c`` with all that the clients of manifest-tool 1.x's and 2.x's time refer to."""
    arrays = {
        VENDOR_ID: resources.values[VENDOR_ID],
        CLASS_ID: resources.values[CLASS_ID],
        "arm_uc_default_fingerprint": bytes.fromhex(resources.fingerprint),
        UPDATE_CERTIFICATE: resources.values[UPDATE_CERTIFICATE],
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
