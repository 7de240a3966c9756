# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of Ansible Vault files, one per credential.

What touches the disk is vault text only. A file is replaced as a whole or not at all, and is on the
disk when ``write`` returns; writers wait for each other. Who reads an entry waits for them only when it is not there
or not whole, since `ansible-vault rekey`, under the same lock, removes a file before it writes it anew. What a file is,
is written inside it, so that a renamed or swapped file is noticed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import yaml

from ..durable_file import probe_directory, replace_file, sync_directory
from ..errors import PelionError
from .directory import Directory
from .errors import StoreError, disk_errors, unusable
from .git_conflict import is_conflict
from .names import name_of, stem_of
from .vault import VAULT_HEADER, NoSecretError, Vault, VaultError

FORMAT = 1
MAX_BYTES = 1024 * 1024
PROBE_BYTES = 64 * 1024
"""More than the largest entry usually has, a developer certificate's with 20 kB."""


class Storable(Protocol):
    KIND: ClassVar[str]

    def to_document(self) -> dict[str, Any]: ...

    @classmethod
    def from_document(cls, document: dict[str, Any], source: str) -> Any: ...


T = TypeVar("T")


@dataclass(frozen=True)
class EntryFile(Generic[T]):
    """One entry's file. Without ``entry``, ``error`` tells why; ``name`` may then be unknown."""

    path: Path
    name: str | None
    entry: T | None
    error: PelionError | None = None


class Store:
    """Entries by kind and name under ``directory``, which the first write creates.

    A ``shared`` store is for a group (directory 2770, files 0660), another one for its owner alone
    (0700, 0600). ``warn`` gets what is odd about the directory, once, at the first use. ``advise`` gets that a shared
    store was made, and how to check a vault secret that was typed when the first entry is written. ``before_change`` is
    called before anything is changed.
    """

    def __init__(
        self,
        directory: Path,
        vault: Vault,
        *,
        shared: bool = False,
        warn: Callable[[str], None] | None = None,
        advise: Callable[[str], None] | None = None,
        before_change: Callable[[], None] | None = None,
    ) -> None:
        self.directory = directory
        self._vault = vault
        self._warn = warn or (lambda message: None)
        self._advise = advise or (lambda message: None)
        self._disk = Directory(
            directory,
            shared=shared,
            warn=self._warn,
            before_create=vault.require_secrets,
            created=self._tell_of_new if shared else (lambda: None),
            before_change=before_change or (lambda: None),
        )

    @property
    def place(self) -> str:
        """Its directory, for people, who see when it is misspelt."""
        there = self.directory.is_dir()
        return str(self.directory) if there else f"{self.directory} (there is no such directory: is it misspelt?)"

    def __repr__(self) -> str:
        return f"Store({str(self.directory)!r})"

    def read(self, kind: type[T], name: str) -> T | None:
        """The entry of that kind and name, or None when there is none.

        Raises StoreError when the entry is damaged, not what its name says, or opened by no secret.
        """
        with contextlib.suppress(StoreError):
            if (found := self._read(kind, name)) is not None:
                return found
        with self._disk.settled():
            return self._read(kind, name)

    def has(self, kind: type, name: str) -> bool:
        """Whether there is such an entry, also one that cannot be read."""
        return self._disk.is_there() and os.path.lexists(self.path(kind, name))

    def write(self, name: str, entry: Storable) -> bool:
        """Store ``entry``; True when that changed the store. An entry keeps the vault id that it has.

        Raises StoreError, also when there is an entry that cannot be read: it is never overwritten.
        """
        path = self.path(type(entry), name)
        document = {"format": FORMAT, "kind": entry.KIND, "name": name, "entry": entry.to_document()}

        def is_held(text: bytes | None) -> bool:
            return text is not None and self._document(type(entry), path, text, name) == document

        # Looked at first without the lock, for which the store would have to be writable.
        with contextlib.suppress(StoreError):
            if is_held(self._text(path, name)):
                return False
        with self.locked():
            old_text = self._text(path, name)
            if is_held(old_text):
                return False
            untried = old_text is None and not self.try_secret() and self._vault.was_typed()
            plain = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()
            text = self._vault.encrypt(plain) if old_text is None else self._vault.replace(old_text, plain)
            with disk_errors(path, name):
                replace_file(path, text, self._disk.file_mode)
        if untried:
            unchecked = (
                f"{path} is the store's first entry, so there was nothing to check the vault secret against: a "
                f"typing error would have gone unnoticed. Check it with `ansible-vault view {path}`, typing the secret "
                "again, and keep it safe: nothing else opens the store."
            )
            self._warn(unchecked)
            self._advise(unchecked)
        return True

    def add(self, name: str, entry: Storable) -> None:
        """Store ``entry``. Raises StoreError, also when there is one of that kind and name by now."""
        with self.locked():
            path = self.path(type(entry), name)
            if self.has(type(entry), name):
                raise unusable(path, name, "was just added by somebody else, so it is not overwritten")
            self.write(name, entry)

    def try_secret(self) -> bool:
        """Whether the secret that new entries get opens one that is there; False when there is none to try it on.

        Raises StoreError when it opens none of them, and VaultError when the run has no such secret.
        """
        tried = 0
        for text in self._vault_texts():
            tried += 1
            if self._vault.opens(text):
                return True
        if tried:
            raise StoreError(
                f"The vault secret that a new entry would get (vault id {self._vault.chosen_id()!r}) opens none of the "
                f"{tried} entries of the store {self.directory}, so nothing is written with it. Was it mistyped, or is "
                "it another store's? With several vault IDs, vault_id (in the role: provision_pelion_vault_id) chooses "
                "one. To use a second secret in a store, write the entry with a secret that the store knows, then run "
                "`ansible-vault rekey` on that file.",
                path=str(self.directory),
            )
        self._vault.chosen_id()
        return False

    def require_secret(self) -> None:
        """Raise VaultError when the run has no secret, and StoreError when there are entries and it opens none."""
        self._vault.require_secrets()
        tried = 0
        for text in self._vault_texts():
            tried += 1
            with contextlib.suppress(VaultError):
                self._vault.decrypt(text)
                return
        if tried:
            raise StoreError(
                f"No vault secret of this run opens any of the {tried} entries of the store {self.directory}. Was it "
                "mistyped, or is it another store's?",
                path=str(self.directory),
            )

    def require_writable(self, kind: type, name: str) -> None:
        """Make sure that the entry can be written, before something is made that would be lost otherwise.

        Raises StoreError or VaultError when it cannot. The directory is created where there is none.
        """
        with self.locked():
            if not self.has(kind, name):  # one that is there keeps its own secret
                self.try_secret()
            with disk_errors(self.directory):
                probe_directory(self.directory, PROBE_BYTES)

    def remove(self, kind: type, name: str) -> bool:
        """Remove the entry, damaged or not; True when there was one."""
        path = self.path(kind, name)
        if not self.has(kind, name):
            return False
        with self.locked(), disk_errors(path, name):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            sync_directory(self.directory)
        return True

    def names(self, kind: type) -> list[str]:
        """The names of all entries of that kind. Raises StoreError when a very long one cannot be read."""
        with self._disk.settled():
            return sorted(name or self._long_name(kind, path) for path, name in self._files(kind))

    def entries(self, kind: type[T], only: str | None = None) -> list[EntryFile[T]]:
        """All entries of that kind, or the one called ``only``; the unusable ones with what is wrong with them."""
        found: list[EntryFile[T]] = []
        with self._disk.settled():
            files = self._files(kind) if only is None else [(self.path(kind, only), only)]
            for path, name in files:
                try:
                    text = self._text(path, name or path.name)
                    if text is not None:
                        found.append(EntryFile(path, *self._entry(kind, path, text, name)))
                except StoreError as error:
                    found.append(EntryFile(path, name, None, error))
        return found

    def path(self, kind: type, name: str) -> Path:
        """Where an entry lies; inside the directory for every name."""
        return self.directory / (stem_of(name) + _suffix(kind))

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep all other writers out, for work that reads first and writes by what it read.

        Raises StoreError when another process has kept the lock for a minute.
        """
        return self._disk.locked()

    def _tell_of_new(self) -> None:
        self._advise(
            f"A new team store was made: {self.directory}. If the team has another one, name that (team_store, in the "
            "role provision_pelion_team_store; or PELION_TEAM_STORE), and remove this one. If not, back it up: it has "
            "the only copy of the keys that sign updates."
        )

    # --- entries ---

    def _read(self, kind: type[T], name: str) -> T | None:
        path = self.path(kind, name)
        text = self._text(path, name)
        return None if text is None else self._entry(kind, path, text, name)[1]

    def _text(self, path: Path, name: str) -> bytes | None:
        if not self._disk.is_there():
            return None
        try:
            # Without O_NONBLOCK, opening a pipe that somebody put there would wait for ever.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StoreError(f"{path} is not a regular file.", path=str(path), name=name)
                text = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unusable(path, name, f"cannot be read: {error.strerror}") from error
        if len(text) > MAX_BYTES:
            raise unusable(path, name, f"is larger than {MAX_BYTES} bytes, so it is not an entry of this store")
        return text

    def _vault_texts(self) -> Iterator[bytes]:
        """The vault texts of all entries; what is damaged proves nothing of a secret."""
        texts = []
        if self._disk.is_there():
            with self._disk.settled():
                for path in sorted(self.directory.glob("[!.]*.yml")):
                    with contextlib.suppress(StoreError):
                        texts.append(self._text(path, path.name) or b"")
        yield from (text for text in texts if text.startswith(VAULT_HEADER) and not is_conflict(text))

    def _files(self, kind: type) -> list[tuple[Path, str | None]]:
        """The entries' files with the names that they stand for; None where only the content tells the name."""
        if not self._disk.is_there():
            return []
        suffix = _suffix(kind)
        with disk_errors(self.directory):
            found = sorted(file for file in os.listdir(self.directory) if file.endswith(suffix) and file != suffix)
        return [(self.directory / file, name_of(file.removesuffix(suffix))) for file in found]

    def _document(self, kind: type, path: Path, text: bytes, shown: str) -> dict[str, Any]:
        """What a file holds, proven to be what its name says. ``shown`` is how errors call the entry."""
        if is_conflict(text):
            raise unusable(path, shown, f"holds both sides of a git conflict. {_both_sides(path, kind)}")
        if not text.startswith(VAULT_HEADER):
            raise unusable(path, shown, "is not an Ansible Vault file (empty, truncated, or decrypted in place)")
        try:
            plain = self._vault.decrypt(text)
        except NoSecretError:
            raise
        except VaultError as error:
            raise unusable(path, shown, str(error)) from None
        try:
            document = yaml.safe_load(plain)  # the loader in C is quicker, but crashes on deep nesting
        except (yaml.YAMLError, ValueError, RecursionError):
            # Without the cause: it quotes the content.
            raise unusable(path, shown, "holds no YAML") from None
        if not isinstance(document, dict) or not isinstance(document.get("entry"), dict):
            raise unusable(path, shown, "was not written by this collection")
        if document.get("format") != FORMAT:
            problem = f"has the format {document.get('format')!r}, but this version only knows format {FORMAT}"
            is_newer = isinstance(document.get("format"), int) and document["format"] > FORMAT
            raise unusable(path, shown, f"{problem}. Update the collection here" if is_newer else problem)
        kept_kind, kept_name = document.get("kind"), document.get("name")
        if (
            kept_kind != kind.KIND  # type: ignore[attr-defined]
            or not isinstance(kept_name, str)
            or self.path(kind, kept_name) != path
        ):
            problem = f"holds {kept_kind} {kept_name!r}, not what its file name says; it was renamed or swapped by hand"
            raise unusable(path, shown, problem)
        return document

    def _entry(self, kind: type[T], path: Path, text: bytes, name: str | None) -> tuple[str, T]:
        document = self._document(kind, path, text, name or path.name)
        try:
            source = f"{document['name']!r} in {self.directory}"
            return document["name"], kind.from_document(document["entry"], source)  # type: ignore[attr-defined]
        except PelionError as error:
            raise unusable(path, document["name"], f"is not whole: {error}".rstrip(".")) from error

    def _long_name(self, kind: type, path: Path) -> str:
        text = self._text(path, path.name)
        if text is None:
            raise unusable(path, path.name, "was just removed; try again")
        return str(self._document(kind, path, text, path.name)["name"])


class _Dumper(yaml.SafeDumper):
    """Safe YAML with several lines of text, such as PEM, as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _both_sides(path: Path, kind: type) -> str:
    """How to end a conflict of git, in words that a full stop follows."""
    return (
        f"Take one with `git -C {path.parent} checkout --ours {path.name}`, or `--theirs`. To keep the other side as "
        f"well, first write it to a file of its own (theirs: `git -C {path.parent} show :3:./{path.name} "
        f">{path.parent}/OTHER{_suffix(kind)}`, ours: `:2:`), and change its name to OTHER with `ansible-vault edit`. "
        "OTHER may have small letters, digits and dashes"
    )


def _suffix(kind: type) -> str:
    return f".{kind.KIND}.yml"  # type: ignore[attr-defined]
