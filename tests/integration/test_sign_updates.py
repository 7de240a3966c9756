# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the team store to a signed manifest, as users do it: with an exported key, and with none on any disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from credential_samples import a_certificate, c_source, update_values
from cryptography.hazmat.primitives.asymmetric import ec
from manifest_tools import a_tool
from soft_token import PIN, SoftToken

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import UPDATE_CERTIFICATE

ROOT = Path(__file__).resolve().parents[2]
SIGN = ROOT / ".build/ansible_collections/pelion/mbl/scripts/sign-update"
PASSWORD = "the vault's password"


class Signer:
    """Somebody with a home directory, a vault password and update resources named bench-update."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "password").write_text(PASSWORD)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PELION_", "ANSIBLE_"))}
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = kept | {
            "HOME": str(home),
            "PATH": programs,
            "ANSIBLE_VAULT_PASSWORD_FILE": str(home / "password"),
            "ANSIBLE_NOCOLOR": "1",
        }
        made = self.run(
            *("ansible", "localhost", "-m", "pelion.mbl.mbl_update_resources"),
            *("-a", "name=bench-update vendor_domain=example.com device_class=bench-board"),
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def run(self, *command: str | Path, at: Path | None = None, **others: str) -> subprocess.CompletedProcess[str]:
        environment = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build"), **self.environment, **others}
        return subprocess.run(
            [str(part) for part in command],
            cwd=at or self.home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def export(self, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
        extra = ("-e", f"export_dir={directory}", "-e", "update_resources=bench-update")
        return self.run("ansible-playbook", "-i", "localhost,", "pelion.mbl.export_signing", *extra, *options)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    (tmp_path / "home").mkdir(mode=0o700)
    return Signer(tmp_path / "home")


def verified(directory: Path, content: Path, signature: Path) -> bool:
    """By openssl, with the certificate that was exported."""
    certificate = directory / ".manifest-dev-tool/dev.cert.der"
    public = subprocess.run(
        ["openssl", "x509", "-inform", "der", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True
    ).stdout
    (directory / "public.pem").write_bytes(public)
    command = ["openssl", "dgst", "-sha256", "-verify", directory / "public.pem", "-signature", signature, content]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_signing_tool_signs_with_the_key_of_the_store(signer: Signer) -> None:
    told = signer.export(Path("signing"), "-e", "key_in_clear=false")
    assert told.returncode == 0, told.stdout + told.stderr
    directory = signer.home / "signing"
    assert directory.stat().st_mode & 0o777 == 0o700
    content, signature = signer.home / "a b", signer.home / "signature"
    content.write_bytes(b"a manifest")
    signature.write_bytes(b"")
    # In the directory of a user who has nothing on Ansible's path.
    done = signer.run(SIGN, "sha256", "bench-update", "a b", "signature", ANSIBLE_COLLECTIONS_PATH="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert verified(directory, content, signature)
    fingerprint = re.search(r"key_file: (\w+)", (directory / ".manifest-dev-tool/dev.cfg.yaml").read_text())
    assert fingerprint
    signature.write_bytes(b"")
    assert signer.run(SIGN, "sha256", fingerprint[1], content, signature).returncode == 0
    assert verified(directory, content, signature)
    everything = [path for path in signer.home.rglob("*") if path.is_file()]
    assert not [path for path in everything if b"PRIVATE KEY" in path.read_bytes()], "no key lies anywhere in clear"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("sha256", "other"), 1, "no update resources named 'other'"),
        (("sha256", "bench-update{{ 1 }}"), 1, "no update resources named 'bench-update{{ 1 }}'"),
        (("sha384", "bench-update"), 2, "Usage:"),
    ],
)
def test_a_signature_that_cannot_be_made_leaves_no_file(
    signer: Signer, arguments: tuple[str, str], code: int, said: str
) -> None:
    """manifest-tool does not look at the exit code: it would make a manifest with an empty signature."""
    content, signature = signer.home / "content", signer.home / "signature"
    content.write_bytes(b"a manifest")
    signature.write_bytes(b"")
    done = signer.run(SIGN, *arguments, content, signature)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert not signature.exists()
    assert PASSWORD not in done.stderr and "PRIVATE" not in done.stderr


def test_the_module_signs_once(signer: Signer) -> None:
    (signer.home / "content").write_bytes(b"a manifest")
    command = ["ansible", "localhost", "-m", "pelion.mbl.mbl_sign_update"]
    command += ["-a", f"key=bench-update src=content dest={signer.home}/signature"]
    checked = signer.run(*command, "--check")
    assert "CHANGED" in checked.stdout and not (signer.home / "signature").exists(), checked.stdout
    assert "CHANGED" in signer.run(*command).stdout
    first = (signer.home / "signature").read_bytes()
    assert "SUCCESS" in signer.run(*command).stdout
    assert (signer.home / "signature").read_bytes() == first
    (signer.home / "content").write_bytes(b"another manifest")
    assert "CHANGED" in signer.run(*command).stdout


@pytest.mark.parametrize("key", ["true", "false"])
def test_manifest_tool_2_makes_a_manifest_with_and_without_the_key_on_disk(signer: Signer, key: str) -> None:
    tool = a_tool("2.6.2", [sys.executable])
    directory = signer.home / "signing"
    assert signer.export(directory, "-e", f"key_in_clear={key}").returncode == 0
    (signer.home / "firmware").write_bytes(b"firmware")
    create = ("create-v1", "-u", "http://example.com/firmware", "-p", signer.home / "firmware")
    made = signer.run(tool / "manifest-dev-tool", *create, "-o", signer.home / "manifest", at=directory)
    assert made.returncode == 0, made.stdout + made.stderr
    certificate = directory / ".manifest-dev-tool/dev.cert.der"
    parsed = signer.run(tool / "manifest-tool", "parse", "-c", certificate, signer.home / "manifest")
    assert parsed.returncode == 0, parsed.stdout + parsed.stderr
    if key == "false":
        # Without the vault's secret, no manifest is made that boards would refuse.
        (signer.home / "manifest").unlink()
        failed = signer.run(
            tool / "manifest-dev-tool",
            *create,
            "-o",
            signer.home / "manifest",
            at=directory,
            ANSIBLE_VAULT_PASSWORD_FILE=str(signer.home / "firmware"),
        )
        assert failed.returncode != 0
        assert not (signer.home / "manifest").exists() or not (signer.home / "manifest").read_bytes()


def test_export_says_what_to_do_and_refuses_what_is_not_private(signer: Signer) -> None:
    told = signer.export(signer.home / "signing")
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"cd {signer.home}/signing" in told.stdout or f"written to {signer.home}/signing" in told.stdout
    assert "dev.cloud_cfg.yaml" in told.stdout and "access_key" in told.stdout
    assert not (signer.home / "signing/.manifest-dev-tool/dev.cloud_cfg.yaml").exists()
    keys = list((signer.home / "signing").rglob("*.pem"))
    assert keys and all(path.stat().st_mode & 0o777 == 0o600 for path in keys)
    again = signer.export(signer.home / "signing")
    assert "changed=0" in again.stdout, again.stdout
    subprocess.run(["git", "init", "-q", signer.home / "work"], check=True)
    refused = signer.export(signer.home / "work/signing")
    assert refused.returncode == 2 and "git work tree" in refused.stdout
    assert not (signer.home / "work/signing").exists()
    for missing in (("-e", "export_dir="), ("-e", "update_resources=")):
        refused = signer.export(signer.home / "other", *missing)
        assert refused.returncode == 2 and "Name " in refused.stdout
    shutil.rmtree(signer.home / "signing")
    dry = signer.export(signer.home / "signing", "--check")
    assert "would be written" in dry.stdout and not (signer.home / "signing").exists()


def test_a_key_that_lies_in_a_token_signs_without_ever_leaving_it(signer: Signer, tmp_path: Path) -> None:
    token = SoftToken.made_in(tmp_path / "token")
    key = ec.generate_private_key(ec.SECP256R1())
    token.bring(key, "update", "01")
    values = {**update_values(), UPDATE_CERTIFICATE: a_certificate("example.com", None, key=key)}
    (signer.home / "update_default_resources.c").write_bytes(c_source(values))
    uri = "pkcs11:token=fleet;object=update"
    took = signer.run(
        *("ansible", "localhost", "-vvvv", "-m", "pelion.mbl.mbl_update_resources"),
        *("-a", f"name=hsm src=update_default_resources.c private_key_uri={uri}"),
        **token.environment,
    )
    assert took.returncode == 0 and '"has_private_key": true' in took.stdout, took.stdout + took.stderr
    content, signature = signer.home / "content", signer.home / "signature"
    content.write_bytes(b"a manifest")
    signature.write_bytes(b"")
    assert signer.export(Path("signing"), "-e", "update_resources=hsm").returncode == 2, "the key cannot be written"
    told = signer.export(Path("signing"), "-e", "update_resources=hsm", "-e", "key_in_clear=false")
    assert told.returncode == 0, told.stdout + told.stderr
    signed = signer.run(SIGN, "sha256", "hsm", content, signature, **token.environment)
    assert signed.returncode == 0, signed.stderr
    assert verified(signer.home / "signing", content, signature)
    signature.write_bytes(b"")
    without = signer.run(SIGN, "sha256", "hsm", content, signature)
    assert without.returncode == 1 and "PELION_PKCS11_MODULE" in without.stderr

    store = signer.home / ".mbl-store/team"
    [entry] = store.glob("hsm.*")
    shown = signer.run("ansible-vault", "view", entry)
    number = key.private_numbers().private_value
    forms = [number.to_bytes(32, "big"), f"{number:064x}".encode(), b"PRIVATE KEY", PIN.encode()]
    written = [path.read_bytes() for path in signer.home.rglob("*") if path.is_file()]
    seen = [*written, *(done.stdout.encode() + done.stderr.encode() for done in (took, told, signed, shown))]
    assert uri in shown.stdout
    assert not [form for form in forms for text in seen if form in text]
