# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token in software (SoftHSM), for keys that must lie on no disk of ours."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")
PIN = "31415926"


@dataclass(frozen=True)
class SoftToken:
    """One named ``fleet``. ``environment`` is what a process needs to use it."""

    directory: Path
    environment: dict[str, str]

    @classmethod
    def made_in(cls, directory: Path) -> SoftToken:
        """Skips, with the reason, where there is no SoftHSM."""
        module = next((file for file in MODULES if Path(file).exists()), None)
        if not (module and shutil.which("softhsm2-util") and importlib.util.find_spec("pkcs11")):
            pytest.skip("LEFT OUT: softhsm2 or python-pkcs11 is not installed")
        (directory / "tokens").mkdir(parents=True)
        (directory / "softhsm2.conf").write_text(f"directories.tokendir = {directory}/tokens\n")
        (directory / "pin").write_text(PIN + "\n")
        environment = {
            "SOFTHSM2_CONF": str(directory / "softhsm2.conf"),
            "PELION_PKCS11_MODULE": module,
            "PELION_PKCS11_PIN_FILE": str(directory / "pin"),
        }
        token = cls(directory, environment)
        token._util("--init-token", "--free", "--label", "fleet", "--so-pin", PIN)
        return token

    def bring(self, key: ec.EllipticCurvePrivateKey, label: str, number: str) -> None:
        """Put ``key`` into the token, by ``label`` and the id ``number`` (hexadecimal). It does not come out again."""
        pem = self.directory / "brought.pem"
        pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._util("--import", str(pem), "--token", "fleet", "--label", label, "--id", number)
        pem.unlink()

    def _util(self, *arguments: str) -> None:
        environment = {"SOFTHSM2_CONF": self.environment["SOFTHSM2_CONF"], "PATH": "/usr/bin:/bin"}
        subprocess.run(["softhsm2-util", *arguments, "--pin", PIN], env=environment, capture_output=True, check=True)
