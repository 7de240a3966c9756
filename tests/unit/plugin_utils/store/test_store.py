# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from ansible.parsing.vault import PromptVaultSecret, VaultSecret
from credential_samples import developer_values, update_values
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.developer_credentials import DeveloperCredentials
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.update_resources import UpdateResources
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store import directory
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.names import name_of, stem_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import MAX_BYTES, Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import Vault, VaultError

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Note:
    KIND: ClassVar[str] = "note"
    text: str

    def to_document(self) -> dict[str, Any]:
        return {"text": self.text}

    @classmethod
    def from_document(cls, document: dict[str, Any], source: str) -> Note:
        if not isinstance(document.get("text"), str):
            raise PelionError(f"{source} has no text.")
        return cls(document["text"])


def a_vault(*ids: str, vault_id: str | None = None) -> Vault:
    return Vault(secrets_of(*ids), vault_id)


def secrets_of(*ids: str) -> list[tuple[str, VaultSecret]]:
    return [(name, VaultSecret(f"secret of {name}".encode())) for name in ids or ("default",)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", a_vault(), shared=True)


def test_entries_are_kept(store: Store) -> None:
    credentials = DeveloperCredentials(developer_values(), "bench", "0" * 32)
    resources = UpdateResources(update_values())
    assert store.read(DeveloperCredentials, "bench") is None and store.names(DeveloperCredentials) == []
    assert not store.directory.exists()  # reading makes nothing
    assert store.write("bench", credentials) and store.write("bench", resources)
    assert store.read(DeveloperCredentials, "bench") == credentials
    assert store.read(UpdateResources, "bench") == resources
    assert store.names(DeveloperCredentials) == store.names(UpdateResources) == ["bench"]
    assert store.remove(UpdateResources, "bench") and not store.remove(UpdateResources, "bench")
    assert store.read(UpdateResources, "bench") is None
    assert store.read(DeveloperCredentials, "bench") == credentials


def test_no_rewrite_without_change(store: Store) -> None:
    store.write("x", Note("a"))
    path = store.path(Note, "x")
    before = path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns
    assert not store.write("x", Note("a"))
    assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) == before
    assert store.write("x", Note("b"))


def test_only_vault_text_touches_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (written.append(Path(old).read_bytes()), replace(old, new)))
    store.write("x", Note("very secret"))
    assert len(written) == 1 and written[0].startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    files = {path.name: path.read_bytes() for path in store.directory.iterdir()}
    assert set(files) == {".lock", "x.note.yml"} and files[".lock"] == b""


def test_ansible_vault_reads_and_rekeys(store: Store, tmp_path: Path) -> None:
    credentials = DeveloperCredentials(developer_values())
    store.write("bench", credentials)
    path = store.path(DeveloperCredentials, "bench")
    (tmp_path / "old").write_text("secret of default\n")
    (tmp_path / "new").write_text("other\n")
    tool = str(Path(sys.executable).with_name("ansible-vault"))
    old = ["--vault-password-file", str(tmp_path / "old")]
    shown = subprocess.run([tool, "view", *old, str(path)], capture_output=True, check=True, text=True).stdout
    assert list(yaml.safe_load(shown)) == ["format", "kind", "name", "entry"]
    assert "-----BEGIN CERTIFICATE-----\n" in shown and "\\n" not in shown and "dev_manufacturer" in shown
    subprocess.run([tool, "rekey", *old, "--new-vault-password-file", str(tmp_path / "new"), str(path)], check=True)
    rekeyed = Store(store.directory, Vault([("default", VaultSecret(b"other"))]), shared=True)
    assert rekeyed.read(DeveloperCredentials, "bench") == credentials
    with pytest.raises(StoreError, match=r"'bench'.*with any of this run's vault secrets"):
        store.read(DeveloperCredentials, "bench")


# --- names ---

NAMES = [
    "bench",
    "Bench",
    "BENCH",
    "a/b",
    "with space",
    'q"uo$te`',
    "-dash",
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "uni-code \u00e9 \u4e2d\u6587 \U0001f600",
    "e\u0301",
    "\u00e9",
    "new\nline",
    "nul\0",
    "a_b",
    "a__b",
    "~2e",
    "con",
    "x" * 100,
    "X" * 100,
    "\u00fc" * 100,
    "\u00fc" * 99 + "x",
    "\U0001f600" * 100,
    "a.note.yml",
    " ",
    "\\",
    ".lock",
    ".x.writing",
    "trailing.",
    "trailing ",
]


def test_any_name_works_and_stays_inside(store: Store) -> None:
    for name in NAMES:
        assert store.write(name, Note(name))
    for name in NAMES:
        assert store.read(Note, name) == Note(name)
        path = store.path(Note, name)
        assert path.parent == store.directory and path.is_file()
        assert len(path.name.encode()) <= 255 and path.name[0] not in "-."
    assert store.names(Note) == sorted(NAMES)
    assert len({store.path(Note, name).name.lower() for name in NAMES}) == len(NAMES)
    assert {path.name for path in store.directory.parent.iterdir()} == {"store"}
    for name in NAMES:
        assert store.remove(Note, name)
    assert [path.name for path in store.directory.iterdir()] == [".lock"]


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_stems_are_safe_and_tell_names_apart(name: str, other: str) -> None:
    stem = stem_of(name)
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_~") and stem[0] not in ".-" and len(stem) <= 180
    assert name_of(stem) in (name, None) and (name_of(stem) == name or "~~" in stem)
    assert (stem == stem_of(other)) == (name == other)


def test_names_that_are_none() -> None:
    for name in ("", "\ud800"):
        with pytest.raises(StoreError):
            Store(Path("/nowhere"), a_vault()).path(Note, name)


# --- damage ---


def test_damaged_entries_are_named_and_the_others_stay_usable(store: Store, tmp_path: Path) -> None:
    damage = {
        "empty": (lambda text: b"", "is not an Ansible Vault file"),
        "truncated": (lambda text: text[: len(text) // 2], "or is damaged"),
        "headless": (lambda text: text[20:], "is not an Ansible Vault file"),
        "header-only": (lambda text: text[:26], "or is damaged"),
        "flipped": (lambda text: text[:100] + bytes([text[100] ^ 1]) + text[101:], "or is damaged"),
        "junk": (lambda text: b"$ANSIBLE_VAULT;\nxyz", "or is damaged"),
        "other cipher": (lambda text: text.replace(b"AES256", b"ROT13"), "or is damaged"),
        "half a conflict": (lambda text: b"<<<<<<< HEAD\n" + text, "is not an Ansible Vault file"),
        "in clear": (lambda text: b"format: 1\nkind: note\n", "is not an Ansible Vault file"),
        "huge": (lambda text: text + b"0" * MAX_BYTES, "is larger than"),
        "wrong password": (lambda text: a_vault("other").encrypt(b"x"), "written with the vault id 'other'"),
        "no yaml": (lambda text: a_vault().encrypt(b"{{"), "holds no YAML"),
        "list": (lambda text: a_vault().encrypt(b"- a"), "was not written by"),
        "bomb": (lambda text: a_vault().encrypt(b"[" * 1200), "holds no YAML"),
        "tag": (lambda text: a_vault().encrypt(b"!!python/object/apply:os.system [id]"), "holds no YAML"),
        "no entry": (lambda text: a_vault().encrypt(b"{format: 1, kind: note, name: no entry}"), "was not written by"),
        "newer": (
            lambda text: a_vault().encrypt(b"{format: 2, kind: note, name: newer, entry: {}}"),
            "has the format 2.*Update the collection here",
        ),
        "other kind": (
            lambda text: a_vault().encrypt(b"{format: 1, kind: letter, name: other kind, entry: {}}"),
            "holds letter",
        ),
        "renamed": (
            lambda text: a_vault().encrypt(b"{format: 1, kind: note, name: bench, entry: {text: a}}"),
            "holds note 'bench'",
        ),
        "incomplete": (
            lambda text: a_vault().encrypt(b"{format: 1, kind: note, name: incomplete, entry: {}}"),
            "is not whole: 'incomplete' in .* has no text",
        ),
    }
    store.write("whole", Note("w"))
    for name, (change, reason) in damage.items():
        store.write(name, Note("x"))
        path = store.path(Note, name)
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(StoreError, match=f"(?s)The stored entry '{name}' .*{reason}") as caught:
            store.read(Note, name)
        assert caught.value.facts == {"path": str(path), "name": name}
        damaged = path.read_bytes()
        if name != "incomplete":
            with pytest.raises(StoreError):  # never treated as empty
                store.write(name, Note("new"))
            assert path.read_bytes() == damaged
    assert store.read(Note, "whole") == Note("w")
    assert store.write("whole", Note("v"))
    assert store.names(Note) == sorted([*damage, "whole"])
    found = store.entries(Note)
    assert {item.name for item in found if item.error} == set(damage)
    assert [item.entry for item in found if not item.error] == [Note("v")]
    for name in damage:
        assert store.remove(Note, name)  # what is damaged can be removed


def test_both_sides_of_a_git_conflict_can_be_kept_as_the_message_says(store: Store, tmp_path: Path) -> None:
    def git(*arguments: str, check: bool = True) -> None:
        name = ("-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "merge.conflictStyle=merge")
        command = ["git", "-C", str(store.directory), *name, *arguments]
        subprocess.run(command, check=check, capture_output=True)

    store.write("witness", Note("w"))
    git("init", "--quiet", "--initial-branch=ours")
    git("add", "witness.note.yml")
    git("commit", "--quiet", "--message=w")
    git("branch", "theirs")
    store.write("bench", Note("of ours"))
    git("add", "bench.note.yml")
    git("commit", "--quiet", "--message=ours")
    git("checkout", "--quiet", "theirs")
    store.write("bench", Note("of theirs"))
    git("add", "bench.note.yml")
    git("commit", "--quiet", "--message=theirs")
    git("checkout", "--quiet", "ours")
    git("merge", "--quiet", "theirs", check=False)
    with pytest.raises(StoreError, match=r"'bench' .*both sides of a git conflict") as raised:
        store.read(Note, "bench")
    assert store.write("new", Note("n")), "what is in conflict is no proof of the secret"

    ours, theirs, edit = re.findall(
        r"`(git [^`]*checkout[^`]*|git [^`]*show[^`]*|ansible-vault edit)`", str(raised.value)
    )
    (tmp_path / "secret").write_text("secret of default\n")
    tools = f"PATH={Path(sys.executable).parent}:$PATH EDITOR='sed -i s/^name:.*/name:\\ other/'"
    file = f"{store.directory}/other.note.yml"
    for command in (theirs.replace("OTHER", "other"), ours, f"{edit} --vault-password-file {tmp_path}/secret {file}"):
        subprocess.run(["/bin/sh", "-c", f"export {tools}; {command}"], check=True)
    assert store.read(Note, "bench") == Note("of ours")
    assert store.read(Note, "other") == Note("of theirs")


def test_a_damaged_entry_with_a_long_name(store: Store) -> None:
    store.write("\u00fc" * 100, Note("x"))
    path = store.path(Note, "\u00fc" * 100)
    path.write_bytes(b"")
    (found,) = store.entries(Note)
    assert found.path == path and found.name is None and found.error
    with pytest.raises(StoreError, match=path.name):
        store.names(Note)


def test_what_is_no_file(store: Store) -> None:
    store.write("x", Note("x"))
    os.mkfifo(store.path(Note, "pipe"))
    store.path(Note, "directory").mkdir()
    for name in ("pipe", "directory"):
        with pytest.raises(StoreError, match=name):
            store.read(Note, name)


def test_only_what_is_asked_for_is_decrypted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        store.write(f"n{number}", Note("x"))
    opened = []
    decrypt = Vault.decrypt
    monkeypatch.setattr(Vault, "decrypt", lambda self, text: opened.append(1) or decrypt(self, text))
    assert len(store.names(Note)) == 5 and not opened
    assert store.read(Note, "n1") and len(opened) == 1
    assert store.entries(Note, "n1") and len(opened) == 2


# --- vault ids ---


def header(store: Store, name: str) -> bytes:
    return store.path(Note, name).read_bytes().split(b"\n")[0]


def test_vault_ids(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    store = Store(directory, a_vault("team", "prod", vault_id="team"))
    store.write("first", Note("a"))
    assert header(store, "first") == b"$ANSIBLE_VAULT;1.2;AES256;team"
    chosen = Store(directory, a_vault("team", "prod", vault_id="prod"))
    with pytest.raises(StoreError, match=r"\(vault id 'prod'\) opens none of the 1 entries .*ansible-vault rekey"):
        chosen.write("second", Note("a"))
    other = Store(tmp_path / "other", a_vault("team", "prod", vault_id="prod"))
    other.write("second", Note("a"))
    shutil.copy(other.path(Note, "second"), directory)  # as rekeyed by hand
    assert chosen.write("third", Note("a")) and chosen.remove(Note, "third")
    assert header(chosen, "second") == b"$ANSIBLE_VAULT;1.2;AES256;prod"
    chosen.write("first", Note("b"))  # keeps the id, and the secret, that it has
    assert header(chosen, "first") == b"$ANSIBLE_VAULT;1.2;AES256;team"
    assert Store(directory, a_vault("team")).read(Note, "first") == Note("b")
    with pytest.raises(StoreError, match=r"'second'.*written with the vault id 'prod'"):
        Store(directory, a_vault("team")).read(Note, "second")
    with pytest.raises(VaultError, match=r"id 'none'.*it has: prod, team"):
        Store(directory, a_vault("team", "prod", vault_id="none")).write("third", Note("a"))
    assert Store(directory, a_vault("prod", "team")).names(Note) == ["first", "second"]
    # Without a label, the secret that opens it decides.
    store.path(Note, "fourth").write_bytes(
        a_vault().encrypt(
            yaml.safe_dump({"format": 1, "kind": "note", "name": "fourth", "entry": {"text": "x"}}).encode()
        )
    )
    mixed = Store(directory, a_vault("team", "default"))
    mixed.write("fourth", Note("y"))
    assert header(mixed, "fourth") == b"$ANSIBLE_VAULT;1.1;AES256"
    assert Store(directory, a_vault()).read(Note, "fourth") == Note("y")


def test_of_several_vault_ids_none_is_guessed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", a_vault("prod", "dev"))
    for write in (lambda: store.write("x", Note("a")), lambda: store.require_writable(Note, "x")):
        with pytest.raises(VaultError, match=r"\(dev, prod\).*provision_pelion_vault_id.*vault_encrypt_identity"):
            write()
    Store(store.directory, a_vault("dev")).write("x", Note("a"))
    assert store.write("x", Note("b")), "an entry that is there has its own"
    assert store.read(Note, "x") == Note("b")
    same = Vault([*secrets_of("prod"), *secrets_of("prod")])
    assert Store(tmp_path / "other", same).write("x", Note("a"))


@pytest.mark.parametrize("vault_id", [None, "dev"])
def test_ansibles_own_setting_chooses_where_the_option_does_not(vault_id: str | None) -> None:
    assert Vault(secrets_of("dev", "prod"), vault_id, identity="prod").chosen_id() == (vault_id or "prod")


def test_a_setting_of_ansible_that_names_no_secret_is_named() -> None:
    with pytest.raises(VaultError, match=r"'absent'.*vault_encrypt_identity.*it has: dev"):
        Vault(secrets_of("dev"), identity="absent").chosen_id()


def test_no_secret_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", Vault([]))
    assert store.read(Note, "x") is None
    for write in (lambda: store.write("x", Note("x")), lambda: store.require_writable(Note, "x")):
        with pytest.raises(VaultError, match="--ask-vault-pass"):
            write()
    assert not store.directory.exists()
    Store(tmp_path / "store", a_vault()).write("x", Note("x"))
    with pytest.raises(VaultError, match=r"^The stores hold keys.*--ask-vault-pass"):
        store.read(Note, "x")


def test_a_mistyped_secret_writes_nothing(tmp_path: Path) -> None:
    warnings: list[str] = []
    typed = PromptVaultSecret(secrets_of("default")[0][1].bytes)
    store = Store(tmp_path / "store", Vault([("default", typed)]), advise=warnings.append)
    assert not store.try_secret()
    store.write("x", Note("a"))
    (warning,) = warnings
    assert f"ansible-vault view {store.path(Note, 'x')}" in warning
    store.write("y", Note("a"))
    assert store.try_secret() and warnings == [warning]  # from then on the first entry is the proof
    before = {path.name: path.read_bytes() for path in store.directory.iterdir()}
    mistyped = Store(store.directory, Vault([("default", VaultSecret(b"secret of defautl"))]), advise=warnings.append)
    for write in (
        lambda: mistyped.write("z", Note("a")),
        lambda: mistyped.write("x", Note("b")),
        mistyped.try_secret,
        lambda: mistyped.require_writable(Note, "z"),
    ):
        with pytest.raises(StoreError, match=r"none of|with any of"):
            write()
    assert {path.name: path.read_bytes() for path in store.directory.iterdir()} == before


def test_a_secret_that_opens_nothing_is_told_before_anything_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", a_vault("prod"))
    store.require_secret()  # an empty store says nothing of it
    store.write("x", Note("a"))
    store.require_secret()
    Store(store.directory, a_vault("other", "prod")).require_secret()
    with pytest.raises(StoreError, match=r"opens any of the 1 entries.*mistyped"):
        Store(store.directory, a_vault("other")).require_secret()
    store.path(Note, "x").write_text("decrypted in place\n")
    Store(store.directory, a_vault("other")).require_secret()


def test_damaged_entries_prove_no_secret(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", a_vault())
    store.write("x", Note("a"))
    store.path(Note, "x").write_text("decrypted in place\n")
    assert not store.try_secret() and store.write("y", Note("a"))


def test_only_a_change_is_announced(tmp_path: Path) -> None:
    changes: list[int] = []
    store = Store(tmp_path / "store", a_vault(), before_change=lambda: changes.append(len(changes)))
    assert store.read(Note, "x") is None and not store.remove(Note, "x") and not store.try_secret()
    assert not changes
    assert store.write("x", Note("a")) and changes
    changes.clear()
    assert not store.write("x", Note("a")) and store.entries(Note) and not changes


def test_a_team_store_that_was_made_is_told_once(tmp_path: Path) -> None:
    """Its place may be misspelt."""
    told: list[str] = []
    for name in ("x", "y"):
        Store(tmp_path / "team", a_vault(), shared=True, advise=told.append).write(name, Note("a"))
        Store(tmp_path / "user", a_vault(), advise=told.append).write(name, Note("a"))
    [text] = told
    assert text.startswith(f"A new team store was made: {tmp_path / 'team'}.") and "PELION_TEAM_STORE" in text


# --- modes and owners ---


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_modes(tmp_path: Path, umask: int) -> None:
    warnings: list[str] = []
    team = Store(tmp_path / "a" / "team", a_vault(), shared=True, warn=warnings.append)
    user = Store(tmp_path / "a" / "user", a_vault(), warn=warnings.append)
    before = os.umask(umask)
    try:
        (tmp_path / "a").mkdir(mode=0o755)
        for store in (team, user):
            store.write("x", Note("x"))
            store.write("x", Note("y"))
    finally:
        os.umask(before)
    assert (mode(team.directory), mode(user.directory)) == (0o2770, 0o700)
    assert (mode(team.path(Note, "x")), mode(user.path(Note, "x"))) == (0o660, 0o600)
    assert (mode(team.directory / ".lock"), mode(user.directory / ".lock")) == (0o660, 0o600)
    assert not warnings, "a secret that comes from a file has no typing error"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_and_group_are_kept(store: Store) -> None:
    store.write("x", Note("x"))
    path = store.path(Note, "x")
    os.chown(path, 4711, 4712)
    store.write("x", Note("y"))
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (4711, 4712, 0o660)


def test_a_store_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "open" / "store"
    directory.mkdir(parents=True)
    for culprit in (directory, directory.parent):
        culprit.chmod(0o777)
        for use in (lambda s: s.read(Note, "x"), lambda s: s.write("x", Note("x")), lambda s: s.names(Note)):
            with pytest.raises(StoreError, match=f"Everybody may write to {culprit}.*chmod o-w {culprit}"):
                use(Store(directory, a_vault()))
        culprit.chmod(0o755)
    directory.parent.chmod(0o1777)  # as /tmp is
    assert Store(directory, a_vault()).write("x", Note("x"))


@pytest.mark.parametrize("place", ["", "inventory"])
def test_a_git_clone_has_the_modes_that_git_gives_it(tmp_path: Path, place: str) -> None:
    directory = tmp_path / "clone" / place
    directory.mkdir(parents=True)
    (tmp_path / "clone" / ".git").mkdir()
    directory.chmod(0o755)
    warnings: list[str] = []
    store = Store(directory, a_vault(), shared=True, warn=warnings.append)
    assert store.names(Note) == [] and warnings == []
    directory.chmod(0o777)
    with pytest.raises(StoreError, match="Everybody may write"):
        Store(directory, a_vault(), shared=True).names(Note)


def test_odd_directories_are_warned_about_once(tmp_path: Path) -> None:
    for shared, mode_, said in ((True, 0o750, "mode 0750.*chmod 2770"), (False, 0o755, "chmod 700")):
        directory = tmp_path / f"store{shared}"
        directory.mkdir()
        directory.chmod(mode_)
        warnings: list[str] = []
        store = Store(directory, a_vault(), shared=shared, warn=warnings.append)
        assert warnings == []
        store.write("x", Note("x"))
        store.read(Note, "x")
        assert len(warnings) == 1 and re.search(said, warnings[0])


def as_another_user(work: Any) -> str:
    """What ``work`` raises or warns when it is done by a user without rights, in a process of its own."""
    receiver, sender = FORK.Pipe(duplex=False)

    def child() -> None:
        os.setgroups([])
        os.setgid(4712)
        os.setuid(4711)
        try:
            sender.send(str(work()))
        except BaseException as error:
            sender.send(f"{type(error).__name__}: {error}")

    process = FORK.Process(target=child)
    process.start()
    message = receiver.recv()
    process.join()
    return message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_other_users() -> None:
    # pytest's own directories are for one user.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        store = Store(place / "team", a_vault(), shared=True)
        store.write("x", Note("x"))
        assert "StoreError" in as_another_user(lambda: store_of(place).read(Note, "x"))
        (place / "team").chmod(0o2775)
        store.path(Note, "x").chmod(0o664)
        warnings: list[str] = []
        message = as_another_user(lambda: (store_of(place, warnings).read(Note, "x"), warnings))
        assert "belongs to the group root, in which you are not" in message
        message = as_another_user(lambda: store_of(place).write("y", Note("y")))
        assert "Permission denied. Join the group" in message
        os.chown(place / "team", 0, 4712)
        (place / "team").chmod(0o2770)
        for path in (place / "team").iterdir():
            os.chown(path, 0, 4712)
            path.chmod(0o660)
        assert as_another_user(lambda: store_of(place, warnings).write("x", Note("z"))) == "True"
        assert store.read(Note, "x") == Note("z")  # and root reads what the other one wrote
        assert store.path(Note, "x").stat().st_gid == 4712


def store_of(place: Path, warnings: list[str] | None = None) -> Store:
    return Store(place / "team", a_vault(), shared=True, warn=None if warnings is None else warnings.append)


# --- several at once, and disasters ---


def test_sixteen_writers_lose_nothing(tmp_path: Path) -> None:
    def work(number: int) -> None:
        store = Store(tmp_path / "store", a_vault(), shared=True)
        for step in range(4):
            store.write(f"own {number} {step}", Note(str(number)))
            with store.locked():
                count = store.read(Note, "common") or Note("")
                store.write("common", Note(count.text + f"{number}.{step} "))

    processes = [FORK.Process(target=work, args=(number,)) for number in range(16)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 16
    store = Store(tmp_path / "store", a_vault(), shared=True)
    assert store.names(Note) == sorted([f"own {n} {step}" for n in range(16) for step in range(4)] + ["common"])
    common = store.read(Note, "common")
    assert common and sorted(common.text.split()) == sorted(f"{n}.{step}" for n in range(16) for step in range(4))
    assert all(not item.error for item in store.entries(Note))


def test_a_hundred_kills_leave_the_old_or_the_new_entry(tmp_path: Path) -> None:
    versions = [Note(letter * 5000) for letter in "ab"]
    store = Store(tmp_path / "store", a_vault(), shared=True)
    store.write("x", versions[1])
    begin = time.monotonic()
    store.write("x", versions[0])
    one_write = time.monotonic() - begin
    random_ = random.Random(5)
    seen: set[str] = set()
    interrupted = 0

    def work() -> None:
        writer = Store(tmp_path / "store", a_vault(), shared=True)
        while True:
            for version in reversed(versions):
                writer.write("x", version)

    # On a busy machine it may take more of them to meet one that is writing.
    for kill in range(2000):
        if kill >= 100 and interrupted and len(seen) == 2:
            break
        process = FORK.Process(target=work)
        process.start()
        time.sleep(random_.uniform(0, 5 * one_write))
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        entry = store.read(Note, "x")
        assert entry in versions
        seen.add(entry.text[0])
        interrupted += any(path.name.endswith(".writing") for path in store.directory.iterdir())
        assert store.names(Note) == ["x"]
    assert seen == {"a", "b"} and interrupted
    assert store.write("x", Note("end"))
    assert {path.name for path in store.directory.iterdir()} == {".lock", "x.note.yml"}  # no litter stays


def test_a_lock_that_is_not_released(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "LOCK_SECONDS", 0.2)
    other = Store(store.directory, a_vault(), shared=True)
    with store.locked():
        with store.locked():
            store.write("x", Note("x"))
        with pytest.raises(StoreError, match="locked by another process"):
            other.write("x", Note("y"))
        assert other.read(Note, "x") == Note("x")  # readers do not wait
    assert other.write("x", Note("y"))


def test_a_rekey_under_the_lock_is_waited_for(store: Store) -> None:
    """It removes each file before it writes it anew."""
    store.write("x", Note("x"))
    path = store.path(Note, "x")
    torn = f"mv {path} {path}.away; echo begun; read line; printf 1 >{path}; sleep 0.3; mv {path}.away {path}"
    command = ["flock", store.directory / ".lock", "sh", "-c", torn]
    for read in (
        lambda: store.read(Note, "x") == Note("x"),
        lambda: [found.entry for found in store.entries(Note)] == [Note("x")],
        lambda: store.names(Note) == ["x"],
        store.try_secret,
        lambda: not store.write("x", Note("x")),
    ):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rekey:
            assert rekey.stdin and rekey.stdout and rekey.stdout.readline() == "begun\n"
            timer = threading.Timer(0.2, lambda: (rekey.stdin.write("\n"), rekey.stdin.flush()))
            timer.start()
            assert read()
        timer.join()


def test_reads_beside_the_real_rekey(store: Store, tmp_path: Path) -> None:
    for number in range(5):
        store.write(f"note {number}", Note(str(number)))
    for name in ("default", "new"):
        (tmp_path / name).write_text(f"secret of {name}")
    rekey = [
        *("flock", store.directory / ".lock", "ansible-vault", "rekey"),
        *("--vault-password-file", tmp_path / "default", "--new-vault-password-file", tmp_path / "new"),
        *store.directory.glob("*.yml"),
    ]
    reader = Store(store.directory, a_vault("default", "new"), shared=True)
    with subprocess.Popen(rekey, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            for number in range(5):
                assert reader.read(Note, f"note {number}") == Note(str(number))
            assert [found.error for found in reader.entries(Note)] == [None] * 5
    assert running.returncode == 0
    with pytest.raises(StoreError, match="cannot be opened"):
        store.read(Note, "note 0")


IN_NAMESPACE = ["unshare", "--mount", "--map-root-user"]


def test_what_is_added_takes_nothings_place(store: Store) -> None:
    store.add("x", Note("a"))
    with pytest.raises(StoreError, match="was just added by somebody else"):
        store.add("x", Note("b"))
    assert store.read(Note, "x") == Note("a")


def test_a_read_only_store_serves_while_nothing_changes(store: Store) -> None:
    if subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a mount namespace")
    store.write("x", Note("a"))
    program = """
import sys
from pathlib import Path
from test_store import Note, Store, StoreError, a_vault
store = Store(Path(sys.argv[1]), a_vault(), shared=True)
assert store.read(Note, "x") == Note("a") and store.write("x", Note("a")) is False and store.try_secret()
changes = [
    lambda: store.write("x", Note("b")),
    lambda: store.require_writable(Note, "x"),
    lambda: store.remove(Note, "x"),
]
for change in changes:
    try:
        change()
    except StoreError as error:
        assert "Read-only file system" in str(error)
    else:
        raise AssertionError("changed")
"""
    script = f"mount --bind $1 $1 && mount -o remount,bind,ro $1 && exec {sys.executable} -c '{program}' $1"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [*IN_NAMESPACE, "sh", "-c", script, "sh", str(store.directory)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (
            "mount -t tmpfs -o size=48k none $D && cp -a $S/. $D && dd if=/dev/zero of=$D/fill bs=1k 2>/dev/null; true",
            "No space left on device. Make room",
        ),
        ("mount --bind $S $D && mount -o remount,bind,ro $D", "Read-only file system. That disk is read-only"),
    ],
    ids=["full", "read-only"],
)
def test_bad_disks(store: Store, tmp_path: Path, prepare: str, said: str) -> None:
    if subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a mount namespace")
    store.write("x", Note("old"))
    (tmp_path / "disk").mkdir()
    program = """
import sys
from pathlib import Path
from test_store import Note, Store, a_vault
store = Store(Path(sys.argv[1]), a_vault(), shared=True)
for entry in ("x", "new"):
    try:
        store.write(entry, Note("new" * 3000))
    except Exception as error:
        print(type(error).__name__, error)
print(store.read(Note, "x"), store.names(Note), sorted(path.name for path in store.directory.iterdir()))
"""
    script = f"{prepare}\nexec {sys.executable} -c '{program.replace(chr(39), chr(34))}' $D"
    environment = {
        **os.environ,
        "S": str(store.directory),
        "D": str(tmp_path / "disk"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    run = subprocess.run(
        [*IN_NAMESPACE, "sh", "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 3, run.stderr
    for line in lines[:2]:
        assert line.startswith("StoreError The store cannot be changed at") and said in line
    assert lines[2].startswith("Note(text='old') ['x'] ['.lock'") and ".writing" not in lines[2]
