# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""File names for the names of entries: safe for every name, and readable for usual ones."""

from __future__ import annotations

import hashlib
import re

from .errors import StoreError

# NAME_MAX is 255 bytes on most file systems; a kind's suffix has to fit in too.
MAX_STEM = 180


def stem_of(name: str) -> str:
    """A file name's stem for any name, and another for any other name, also where case does not count.

    Readable for usual names: capitals as ``_`` and the small letter, ``_`` as ``__``, all else but
    digits, dots and dashes as ``~`` and the hexadecimal bytes. Names that get too long end in a digest.
    """
    if not name:
        raise StoreError("A name in a store cannot be empty.")
    try:
        octets = name.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"The name {name!r} is not valid Unicode.", name=repr(name)) from error
    stem = "".join(_ENCODED[octet] for octet in octets)
    if stem[0] in ".-":
        stem = f"~{octets[0]:02x}{stem[1:]}"
    if len(stem) > MAX_STEM:
        stem = f"{stem[:100]}~~{hashlib.sha256(octets).hexdigest()}"
    return stem


def name_of(stem: str) -> str | None:
    """The name of which ``stem`` came, or None when only the file's content tells it."""

    def replace(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes.fromhex(match[1].decode())
        return b"_" if match[2] == b"_" else match[2].upper()

    try:
        name = re.sub(rb"~([0-9a-f]{2})|_([_a-z])", replace, stem.encode()).decode()
        return name if stem_of(name) == stem else None
    except (UnicodeError, StoreError):
        return None


_ENCODED = {octet: f"~{octet:02x}" for octet in range(256)}
_ENCODED |= {octet: chr(octet) for octet in b"abcdefghijklmnopqrstuvwxyz0123456789.-"}
_ENCODED |= {octet: "_" + chr(octet).lower() for octet in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_"}
