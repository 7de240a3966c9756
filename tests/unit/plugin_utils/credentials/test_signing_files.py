# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against the real manifest tools from PyPI, in virtual environments under .build/manifest-tool."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from credential_samples import update_values
from manifest_tools import a_tool, pyenv

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.manifest_tool import find_signing_key
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.signing_files import (
    SigningFiles,
    SigningFilesError,
    c_file,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_certificate import (
    Recipe,
    derive_ids,
    make_update_resources,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources

IDS = derive_ids("example.com", "model1")


def resources() -> UpdateResources:
    return make_update_resources(Recipe(*IDS, "CN=example.com", 90))


@pytest.fixture(scope="session")
def tool_1() -> Path:
    return a_tool("1.5.2", ["python3.8", *pyenv("3.8", "3.7", "3.9"), "python3.9"])


@pytest.fixture(scope="session")
def tool_2() -> Path:
    return a_tool("2.6.2", [sys.executable])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    def run(*command: object) -> str:
        done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stdout + done.stderr
        return done.stdout

    return run


def test_manifest_tool_1_signs_with_what_is_exported(tmp_path: Path, run: Callable[..., str], tool_1: Path) -> None:
    made = resources()
    SigningFiles(tmp_path, "example.com", "model1").write(made)
    (tmp_path / "payload").write_bytes(b"firmware")
    run(tool_1 / "manifest-tool", "create", "-u", "http://h/p", "-p", "payload", "-o", "manifest")
    verified = tmp_path / "certificates"
    verified.mkdir()
    (verified / made.fingerprint).write_bytes((tmp_path / ".update-certificates/default.der").read_bytes())
    vendor, device_class = made.vendor_id, made.class_id
    command = [tool_1 / "manifest-tool", "verify", "-d", verified, "-i", "manifest", "-V", vendor, "-C", device_class]
    run(*command)


def test_manifest_tool_2_signs_with_what_is_exported(tmp_path: Path, run: Callable[..., str], tool_2: Path) -> None:
    made = resources()
    SigningFiles(tmp_path).write(made)
    (tmp_path / "payload").write_bytes(b"firmware")
    run(
        *(tool_2 / "manifest-dev-tool", "create", "-u", "http://h/p", "-p", "payload"),
        *("-v", "1.0.1", "-o", "manifest"),
    )
    shown = run(tool_2 / "manifest-tool", "parse", "-c", ".manifest-dev-tool/dev.cert.der", "manifest")
    assert made.vendor_id.hex in shown.replace("-", "") and made.class_id.hex in shown.replace("-", "")
    other = tmp_path / "other"
    SigningFiles(other).write(resources())
    wrong = [tool_2 / "manifest-tool", "parse", "-c", other / ".manifest-dev-tool/dev.cert.der", "manifest"]
    assert subprocess.run(list(map(str, wrong)), cwd=tmp_path, capture_output=True, check=False).returncode


@pytest.mark.parametrize("name", ["work/signing", "work/new/signing"])
def test_keys_in_clear_are_not_written_into_a_git_work_tree(tmp_path: Path, name: str) -> None:
    (tmp_path / "work/.git").mkdir(parents=True)
    (tmp_path / "work/signing").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "work")
    for directory in (tmp_path / name, tmp_path / name.replace("work", "link")):
        with pytest.raises(SigningFilesError, match="in the git work tree"):
            SigningFiles(directory).write(resources())
    assert not list(tmp_path.rglob("*.pem"))
    # A worktree's or a submodule's .git is a file.
    (tmp_path / "work/.git").rmdir()
    (tmp_path / "work/.git").write_text("gitdir: elsewhere")
    with pytest.raises(SigningFilesError, match="in the git work tree"):
        SigningFiles(tmp_path / name).write(resources())


def test_a_directory_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(SigningFilesError, match=r"others may look into .*chmod 700"):
        SigningFiles(tmp_path / "open").write(resources())
    assert not list((tmp_path / "open").iterdir())
    SigningFiles(tmp_path / "open/new").write(resources())
    assert stat.S_IMODE((tmp_path / "open/new").stat().st_mode) == 0o700


def test_with_a_signing_tool_no_key_is_written(tmp_path: Path, run: Callable[..., str], tool_2: Path) -> None:
    """The tool is called with the certificate's fingerprint, and what it makes is the manifest's signature."""
    made = resources()
    assert made.private_key
    tool = tmp_path / "sign"
    key = tmp_path / "elsewhere.pem"
    key.write_bytes(made.private_key)
    tool.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "sha256 {made.fingerprint}" ] && openssl dgst -sha256 -sign {key} -out "$4" "$3"\n'
    )
    tool.chmod(0o700)
    place = tmp_path / "signing"
    written = SigningFiles(place, signing_tool=tool).write(made)
    assert len(written) == 3
    assert not any(b"PRIVATE KEY" in Path(path).read_bytes() for path in written)
    assert SigningFiles(place, signing_tool=tool).write(made) == []
    with pytest.raises(SigningFilesError, match=r"dev\.cfg\.yaml differs"):
        SigningFiles(place).write(made)
    (tmp_path / "payload").write_bytes(b"firmware")
    create = ["create-v1", "-u", "http://h/p", "-p", str(tmp_path / "payload"), "-o", str(tmp_path / "manifest")]
    command = [str(tool_2 / "manifest-dev-tool"), *create]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    run(tool_2 / "manifest-tool", "parse", "-c", place / ".manifest-dev-tool/dev.cert.der", "manifest")


def test_reads_what_manifest_tool_1_writes(tmp_path: Path, run: Callable[..., str], tool_1: Path) -> None:
    run(tool_1 / "manifest-tool", "init", "-q", "-d", "example.com", "-m", "model1")
    read = read_back(tmp_path, ".update-certificates/default")
    assert (read.vendor_id, read.class_id) == IDS
    assert profile(read) == profile(resources())
    beside = find_signing_key(tmp_path / "update_default_resources.c", read.der)
    assert beside == (tmp_path / ".update-certificates/default.key.pem", read.private_key)


def test_reads_what_manifest_tool_2_writes(tmp_path: Path, run: Callable[..., str], tool_2: Path) -> None:
    vendor, device_class = uuid.uuid4(), uuid.uuid4()
    run(tool_2 / "manifest-dev-tool", "init", "--vendor-id", vendor, "--class-id", device_class)
    read = read_back(tmp_path, ".manifest-dev-tool/dev.cert", ".manifest-dev-tool/dev")
    assert (read.vendor_id, read.class_id) == (vendor, device_class)
    beside = find_signing_key(tmp_path / "update_default_resources.c", read.der)
    assert beside == (tmp_path / ".manifest-dev-tool/dev.key.pem", read.private_key)
    ours = make_update_resources(Recipe(vendor, device_class))
    assert profile(read) == profile(ours)
    # What the tool wrote in its own style is left as it is.
    before = (tmp_path / "update_default_resources.c").read_bytes()
    written = SigningFiles(tmp_path).write(read)
    assert (tmp_path / "update_default_resources.c").read_bytes() == before
    assert not any("dev.cert" in path for path in written)
    # Its key is the same, but was readable for everybody.
    assert (tmp_path / ".manifest-dev-tool/dev.key.pem").read_bytes() == read.private_key
    assert stat.S_IMODE((tmp_path / ".manifest-dev-tool/dev.key.pem").stat().st_mode) == 0o600


def read_back(directory: Path, certificate: str, key: str | None = None) -> UpdateResources:
    key_pem = (directory / f"{key or certificate}.key.pem").read_bytes()
    text = (directory / "update_default_resources.c").read_bytes()
    read = replace(UpdateResources.from_c_source(text, "update_default_resources.c"), private_key=key_pem)
    read.check()
    assert read.values["arm_uc_default_certificate"] == (directory / f"{certificate}.der").read_bytes()
    return read


def profile(given: UpdateResources) -> list[object]:
    """All of a certificate but its numbers, and that ours are dated back."""
    certificate = given.certificate
    return [
        certificate.version,
        certificate.subject,
        certificate.issuer,
        certificate.signature_algorithm_oid,
        given.not_after - given.made_at,
        [
            (item.oid, item.critical, item.value if item.oid.dotted_string != "2.5.29.14" else len(item.value.digest))
            for item in certificate.extensions
        ],
    ]


def test_files_modes_and_idempotence(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    made = resources()
    files = SigningFiles(directory, "example.com", "model1")
    planned = files.write(made, dry_run=True)
    assert not directory.parent.exists()
    assert files.write(made) == planned and len(planned) == 7
    assert files.write(made) == []
    for path in map(Path, planned):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o600 if "key" in path.name else 0o644)
    for path in (directory.parent, directory, directory / ".update-certificates", directory / ".manifest-dev-tool"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    key = directory / ".update-certificates" / "default.key.pem"
    key.chmod(0o644)
    assert files.write(made) == [str(key)] and stat.S_IMODE(key.stat().st_mode) == 0o600
    read = UpdateResources.from_c_source((directory / "update_default_resources.c").read_bytes(), "x.c")
    assert read.values == made.values


def test_each_certificate_of_an_entry_can_be_exported(tmp_path: Path) -> None:
    first, second = resources(), make_update_resources(Recipe(*derive_ids("example.com", "other")))
    keyless, last = UpdateResources(update_values()), resources()
    entry = last.succeeding(keyless.succeeding(second.succeeding(first)))
    for held, given in ((first, first.fingerprint[:16].upper()), (second, second.fingerprint), (last, None)):
        directory = tmp_path / held.fingerprint
        assert len(SigningFiles(directory, fingerprint=given).write(entry)) == 7
        assert replace(read_back(directory, ".update-certificates/default"), former=()) == replace(held, former=())
    for given, said in (
        (keyless.fingerprint, "has none"),
        ("0" * 16, f"It has had: {first.fingerprint}, "),
        (first.fingerprint[:15], "first 16 hexadecimal digits"),
        ("../../../../etc/passwd", "first 16 hexadecimal digits"),
    ):
        with pytest.raises(SigningFilesError, match=said):
            SigningFiles(tmp_path / "x", fingerprint=given).write(entry)
    assert not (tmp_path / "x").exists()


def test_the_files_of_a_former_certificate_are_not_overwritten(tmp_path: Path) -> None:
    first = resources()
    SigningFiles(tmp_path).write(first)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SigningFilesError, match="is not overwritten") as refused:
        SigningFiles(tmp_path).write(resources().succeeding(first))
    assert refused.value.facts["path"] == str(tmp_path / "update_default_resources.c")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_settings_that_say_the_same_or_more_stay(tmp_path: Path) -> None:
    made, settings = resources(), tmp_path / ".manifest_tool.json"
    SigningFiles(tmp_path, "example.com", "model1").write(made)
    assert SigningFiles(tmp_path).write(made) == []
    settings.write_text(settings.read_text().replace(str(made.class_id), str(made.vendor_id)))
    with pytest.raises(SigningFilesError, match=r"manifest_tool\.json differs"):
        SigningFiles(tmp_path).write(made)


def test_nothing_of_others_is_overwritten(tmp_path: Path) -> None:
    SigningFiles(tmp_path).write(resources())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SigningFilesError, match=r"is not overwritten.*Move it away"):
        SigningFiles(tmp_path).write(resources())
    shutil.rmtree(tmp_path / ".update-certificates")
    shutil.rmtree(tmp_path / ".manifest-dev-tool")
    with pytest.raises(SigningFilesError, match=r"resources\.c differs"):
        SigningFiles(tmp_path).write(resources())
    (tmp_path / "update_default_resources.c").write_text("my notes")
    with pytest.raises(SigningFilesError, match=r"resources\.c differs"):
        SigningFiles(tmp_path).write(resources())
    assert (tmp_path / ".manifest_tool.json").read_bytes() == before[tmp_path / ".manifest_tool.json"]


def test_without_a_key_there_is_nothing_to_sign_with(tmp_path: Path) -> None:
    with pytest.raises(SigningFilesError, match="private_key_src"):
        SigningFiles(tmp_path / "x").write(UpdateResources(update_values()))
    assert not (tmp_path / "x").exists()


def test_a_place_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(SigningFilesError, match="file is not a directory"):
            SigningFiles(place).write(resources())


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_the_c_file_compiles(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_bytes(c_file(resources()))
    subprocess.run(["gcc", "-Wall", "-Werror", "-std=c99", "-c", "x.c"], cwd=tmp_path, check=True)
