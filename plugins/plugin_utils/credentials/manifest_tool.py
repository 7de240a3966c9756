# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the manifest tools leave beside the C file that they write."""

from __future__ import annotations

from pathlib import Path

from .c_errors import CSourceError
from .c_source import read_small_file
from .rules import CredentialError, load_certificate
from .signing_key import signing_key

SIGNING_KEYS = (".update-certificates/default.key.pem", ".manifest-dev-tool/dev.key.pem")
"""Of manifest-tool 1.x and of manifest-dev-tool 2.x, beside the C file."""


def find_signing_key(c_file: Path, certificate: bytes) -> tuple[Path, bytes] | None:
    """The private key beside ``c_file`` that belongs to ``certificate`` (DER): its file, and its PEM. None where there
    is none that fits, or none that can be read.

    Raises ValueError for a certificate that cannot be read.
    """
    load_certificate(certificate)
    for name in SIGNING_KEYS:
        path = c_file.parent / name
        try:
            return path, signing_key(read_small_file(path), str(path), certificate)
        except (CSourceError, CredentialError):
            continue
    return None
