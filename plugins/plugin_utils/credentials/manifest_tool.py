# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the manifest tools leave beside the C file that they write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..libraries import Absent, is_installed
from .c_errors import CSourceError
from .c_source import read_small_file
from .rules import load_certificate

if TYPE_CHECKING or is_installed("cryptography"):
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
else:
    UnsupportedAlgorithm = load_pem_private_key = Absent()


SIGNING_KEYS = (".update-certificates/default.key.pem", ".manifest-dev-tool/dev.key.pem")
"""Of manifest-tool 1.x and of manifest-dev-tool 2.x, beside the C file."""


def find_signing_key(c_file: Path, certificate: bytes) -> tuple[Path, bytes] | None:
    """The private key beside ``c_file`` that belongs to ``certificate`` (DER): its file, and its PEM. None where there
    is none that fits, or none that can be read.

    Raises ValueError for a certificate that cannot be read.
    """
    public_key = load_certificate(certificate).public_key()
    for name in SIGNING_KEYS:
        path = c_file.parent / name
        try:
            content = read_small_file(path)
            if load_pem_private_key(content, password=None).public_key() == public_key:
                return path, content
        except (CSourceError, ValueError, TypeError, UnsupportedAlgorithm):
            continue
    return None
