# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what mbl-cli 2.0 left in its store.

It keeps one directory per certificate with a file ``VARIABLE.bin`` for each value, and damages values
when it takes them out of C files. What the certificate proves, or what can only have been one value,
is fixed here; the rest is reported. Nothing is changed in the old store.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..credentials.c_errors import CSourceError
from ..credentials.c_source import read_small_file
from ..credentials.developer_credentials import OPTIONAL, DeveloperCredentials
from ..credentials.developer_credentials import REQUIRED as DEVELOPER_VALUES
from ..credentials.rules import (
    ACCOUNT_ID,
    DEVELOPER_RULES,
    DEVICE_CERTIFICATE,
    ENDPOINT_NAME,
    MEMORY_TOTAL_KB,
    METADATA,
    SERVER_URI,
    UPDATE_RULES,
    CredentialError,
    load_certificate,
    readable,
    require,
)
from ..credentials.update_resources import REQUIRED as UPDATE_VALUES
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..libraries import Absent, is_installed

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography import x509
    from cryptography.x509.oid import NameOID
else:
    x509 = NameOID = Absent()


# What it strips off both ends of every text: str.strip(r"{} \r") takes each character for itself.
MBL_CLI_STRIPS = b"{} \\r"
# What the cloud writes into every developer certificate's file; mbl-cli cuts the last letter off.
DEFAULT_METADATA = dict(
    zip(
        METADATA,
        (b"dev_manufacturer", b"dev_model_num", b"0", b"dev_device_type", b"dev_hardware_version"),
        strict=True,
    )
)

_UDP_URI = re.compile(rb"(coaps?://)udp-([^/:?#]+)(?::\d+)?")
"""Behind the real URI, the portal writes others as comments, for UDP and TCP. mbl-cli does not know comments, and keeps
the last."""

DERIVED = ("arm_uc_default_fingerprint", "arm_uc_default_subject_key_identifier")
"""What follows from an update certificate, so that nothing is lost without it."""


class MblCliStoreError(PelionError):
    """A directory, or an entry in it, is not what mbl-cli writes."""


@dataclass(frozen=True)
class OldEntry:
    """One certificate of the old store: what it is, or why it cannot be taken over (``problem``).

    ``left_out`` are the names of values that no device is given, and that are therefore not taken over. ``notices``
    say what is wrong with the credentials themselves.
    """

    name: str
    path: Path
    entry: DeveloperCredentials | UpdateResources | None = None
    repairs: tuple[str, ...] = ()
    problem: str | None = None
    left_out: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class OldStore:
    """A store of mbl-cli. ``notices`` say what is odd about it as a whole."""

    entries: tuple[OldEntry, ...]
    api_key: str | None = field(repr=False)
    notices: tuple[str, ...]


def is_mbl_cli_store(directory: Path) -> bool:
    """Whether there is something that mbl-cli left. Our own stores may be at the same place."""
    return (directory / "config.json").exists() or bool(_directories_with_values(directory))


def read_mbl_cli_store(directory: Path) -> OldStore:
    """All that is in the store below ``directory``, also where its ``config.json`` does not list it.

    Raises MblCliStoreError when there is no such store.
    """
    if not directory.is_dir():
        raise MblCliStoreError(f"{directory} is not a directory, so it is not a store of mbl-cli.", path=str(directory))
    if not is_mbl_cli_store(directory):
        raise MblCliStoreError(
            f"{directory} is not a store of mbl-cli: it has neither config.json nor credentials.", path=str(directory)
        )
    config, notices = _read_config(directory)
    # The list's paths are absolute, and wrong in a store that was moved; there, the directory's name tells.
    places = _listed(config) | {str(path.relative_to(directory)): path for path in _directories_with_values(directory)}
    entries = tuple(_read_entry(name, path) for name, path in sorted(places.items()))
    key = config.get("api_key")
    return OldStore(entries, key.strip() or None if isinstance(key, str) else None, tuple(notices))


def _read_config(directory: Path) -> tuple[dict[str, Any], list[str]]:
    path = directory / "config.json"
    if not path.exists():
        return {}, []
    try:
        config = json.loads(read_small_file(path))
    except (CSourceError, ValueError, RecursionError):
        config = None
    if isinstance(config, dict):
        return config, []
    return {}, [f"{path} is damaged; the entries were found by their directories, but no API key was found."]


def _listed(config: dict[str, Any]) -> dict[str, Path]:
    listed = config.get("dev_certs")
    if not isinstance(listed, dict):
        return {}
    return {
        name: Path(files[0]).parent
        for name, files in listed.items()
        if isinstance(files, list) and files and isinstance(files[0], str)
    }


def _directories_with_values(directory: Path) -> list[Path]:
    return [
        Path(path)
        for path, _directories, files in os.walk(directory)
        if path != str(directory) and any(file.endswith(".bin") for file in files)
    ]


def _read_entry(name: str, path: Path) -> OldEntry:
    try:
        values = _read_values(path)
        if any(name.startswith("arm_uc_") for name in values):
            _require_all(UPDATE_VALUES, values, path)
            entry = UpdateResources({key: values[key] for key in UPDATE_VALUES}, source=str(path))
            require(UPDATE_RULES, entry.values, str(path))
            return OldEntry(name, path, entry, left_out=_left_out(values, UPDATE_VALUES), notices=_notices(entry))
        _require_all(DEVELOPER_VALUES, values, path)
        left_out = _left_out(values, DEVELOPER_VALUES + OPTIONAL)
        values = {key: values[key] for key in DEVELOPER_VALUES + OPTIONAL if key in values}
        values, repairs = _repaired(values, path)
        require(DEVELOPER_RULES, values, str(path))
    except PelionError as error:
        return OldEntry(name, path, problem=str(error))
    except ValueError as error:
        return OldEntry(name, path, problem=f"{DEVICE_CERTIFICATE} of {path}: {error}.")
    credentials = DeveloperCredentials(values, name, source=str(path))
    return OldEntry(name, path, credentials, tuple(repairs), left_out=left_out, notices=_notices(credentials))


def _notices(entry: DeveloperCredentials | UpdateResources) -> tuple[str, ...]:
    """What its certificates' times tell. One that has ended is taken over: boards may hold it."""
    try:
        return tuple(entry.check())
    except CredentialError as error:
        return (str(error),)


def _left_out(values: dict[str, bytes], taken: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key, value in values.items() if value and key not in taken and key not in DERIVED)


def _read_values(path: Path) -> dict[str, bytes]:
    try:
        # Not with glob, which finds nothing where it may not look.
        files = sorted(file for file in path.iterdir() if file.suffix == ".bin")
    except FileNotFoundError:
        raise MblCliStoreError(f"{path}, which config.json names, is not there.") from None
    except OSError as error:
        raise MblCliStoreError(f"{path} cannot be read: {error.strerror}.") from error
    return {file.stem: read_small_file(file) for file in files}


def _require_all(names: tuple[str, ...], values: dict[str, bytes], path: Path) -> None:
    missing = [name for name in names if name not in values]
    if missing:
        raise MblCliStoreError(f"{path} lacks {', '.join(f'{name}.bin' for name in missing)}.")


def _repaired(values: dict[str, bytes], path: Path) -> tuple[dict[str, bytes], list[str]]:
    """``values`` as they must have been, and what was done to them."""
    subject = load_certificate(values[DEVICE_CERTIFICATE]).subject
    common_name = _only(subject, NameOID.COMMON_NAME)
    account = _only(subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    right: dict[str, bytes] = {
        MEMORY_TOTAL_KB: _number(values[MEMORY_TOTAL_KB], path),
        SERVER_URI: _UDP_URI.sub(rb"\1\2:5684", values[SERVER_URI]),
    }
    if common_name:
        right[ENDPOINT_NAME] = common_name
    if account:
        right[ACCOUNT_ID] = account
        right[SERVER_URI] = re.sub(
            rb"(?<=[?&]aid=)[^&]*", lambda match: account if match[0] in account else match[0], right[SERVER_URI]
        )
    for key, default in DEFAULT_METADATA.items():
        if values[key] == default.strip(MBL_CLI_STRIPS):
            right[key] = default
    out_of_comment = {SERVER_URI} if _UDP_URI.match(values[SERVER_URI]) else set()
    repairs = [
        f"{key} was {readable(values[key])!r}, "
        + ("which mbl-cli took out of a comment, " if key in out_of_comment else "")
        + f"and is now {_shown(key, value)}"
        + ("; boards with MBL connect over TCP" if key in out_of_comment else "")
        for key, value in right.items()
        if key in values and values[key] != value
    ]
    if re.match(rb"coaps?://tcp-", values[SERVER_URI]):
        repairs.append(
            f"{SERVER_URI} is {readable(values[SERVER_URI])!r}: mbl-cli may have taken it out of a comment, and "
            "nothing proves what was there; compare with the portal"
        )
    doubtful = [key for key in METADATA if (values | right)[key] != DEFAULT_METADATA[key]]
    if doubtful:
        repairs.append(
            f"{', '.join(doubtful)}: mbl-cli drops blanks, quotes and an r at either end, and nothing proves "
            "what was there; compare with the portal"
        )
    return values | right, repairs


def _only(subject: x509.Name, kind: x509.ObjectIdentifier) -> bytes | None:
    found = subject.get_attributes_for_oid(kind)
    return str(found[0].value).encode() if len(found) == 1 else None


def _number(value: bytes, path: Path) -> bytes:
    """The 4 bytes that a device expects, of the text that mbl-cli wrote."""
    if len(value) == 4 and value[3] == 0:
        return value  # somebody put the right form there; less than 16 GB
    try:
        return int(value, 0).to_bytes(4, "little")
    except (ValueError, OverflowError):
        raise MblCliStoreError(f"{MEMORY_TOTAL_KB}.bin of {path} is not a whole number.") from None


def _shown(key: str, value: bytes) -> str:
    if key == MEMORY_TOTAL_KB:
        return f"the number {int.from_bytes(value, 'little')}"
    return repr(readable(value))
