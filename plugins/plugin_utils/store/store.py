# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of Ansible Vault files, one per credential.

What touches the disk is vault text only. A file is replaced as a whole or not at all, and is on the
disk when ``write`` returns; writers wait for each other; readers never have to wait. What a file
is, is written inside it, so that a renamed or swapped file is noticed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import yaml

from ..errors import PelionError
from .durable_file import LITTER, probe_directory, replace_file, sync_directory
from .vault import VAULT_HEADER, NoSecretError, Vault, VaultError

FORMAT = 1
MAX_BYTES = 1024 * 1024
PROBE_BYTES = 64 * 1024
"""More than the largest entry usually has, a developer certificate's with 20 kB."""
LOCK_SECONDS = 60.0
# NAME_MAX is 255 bytes on most file systems; a kind's suffix has to fit in too.
MAX_STEM = 180


class Storable(Protocol):
    KIND: ClassVar[str]

    def to_document(self) -> dict[str, Any]: ...

    @classmethod
    def from_document(cls, document: dict[str, Any], source: str) -> Any: ...


T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """One entry's file. Without ``entry``, ``error`` tells why; ``name`` may then be unknown."""

    path: Path
    name: str | None
    entry: T | None
    error: PelionError | None = None


class StoreError(PelionError):
    """The store, or one of its entries, cannot be used as it is. Facts: ``path`` and, for an entry, ``name``."""


class Store:
    """Entries by kind and name under ``directory``, which the first write creates.

    A ``shared`` store is for a group (directory 2770, files 0660), another one for its owner alone
    (0700, 0600). ``warn`` gets what is odd about the directory, once, at the first use, and how to check the
    vault secret when the first entry is written. ``before_change`` is called before anything is changed.
    """

    def __init__(
        self,
        directory: Path,
        vault: Vault,
        *,
        shared: bool = False,
        warn: Callable[[str], None] | None = None,
        before_change: Callable[[], None] | None = None,
    ) -> None:
        self.directory = directory
        self._vault = vault
        self._shared = shared
        self._warn = warn or (lambda message: None)
        self._before_change = before_change or (lambda: None)
        self._inspected = False
        self._lock_depth = 0

    @property
    def place(self) -> str:
        """Its directory, for people: a misspelt one is told as such."""
        there = self.directory.is_dir()
        return str(self.directory) if there else f"{self.directory} (there is no such directory: is it misspelt?)"

    def __repr__(self) -> str:
        return f"Store({str(self.directory)!r})"

    def read(self, kind: type[T], name: str) -> T | None:
        """The entry of that kind and name, or None when there is none.

        Raises StoreError when the entry is damaged, not what its name says, or opened by no secret.
        """
        path = self.path(kind, name)
        text = self._text(path, name)
        return None if text is None else self._entry(kind, path, text, name)[1]

    def has(self, kind: type, name: str) -> bool:
        """Whether there is such an entry, also one that cannot be read."""
        return self._inspect() and os.path.lexists(self.path(kind, name))

    def write(self, name: str, entry: Storable) -> bool:
        """Store ``entry``; True when that changed the store. An entry keeps the vault id that it has.

        Raises StoreError, also when there is an entry that cannot be read: it is never overwritten.
        """
        path = self.path(type(entry), name)
        document = {"format": FORMAT, "kind": entry.KIND, "name": name, "entry": entry.to_document()}

        def is_held(text: bytes | None) -> bool:
            return text is not None and self._document(type(entry), path, text, name) == document

        # Looked at first without the lock, for which the store would have to be writable.
        seen = self._text(path, name)
        if is_held(seen):
            return False
        with self.locked():
            old_text = self._text(path, name)
            if old_text != seen and is_held(old_text):
                return False
            is_first = old_text is None and not self.knows_secret()
            plain = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()
            text = self._vault.encrypt(plain) if old_text is None else self._vault.replace(old_text, plain)
            with _disk_errors(path, name):
                replace_file(path, text, self._file_mode)
        if is_first:
            self._warn(
                f"{path} is the store's first entry, so the vault secret could not be compared with anything: a "
                f"mistyped one would not have been noticed. Check it with `ansible-vault view {path}`, typing it "
                "anew, and keep it safe: nothing else opens the store."
            )
        return True

    def add(self, name: str, entry: Storable) -> None:
        """Store ``entry``. Raises StoreError, also when there is one of that kind and name by now."""
        with self.locked():
            path = self.path(type(entry), name)
            if self.has(type(entry), name):
                raise _unusable(path, name, "came into the store just now, so it is not overwritten")
            self.write(name, entry)

    def knows_secret(self) -> bool:
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
                "it another store's? Of several vault ids, vault_id chooses. To bring a second secret into a store, "
                "write with one that it knows, and then use `ansible-vault rekey` on that file.",
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
                self.knows_secret()
            with _disk_errors(self.directory):
                probe_directory(self.directory, PROBE_BYTES)

    def remove(self, kind: type, name: str) -> bool:
        """Remove the entry, damaged or not; True when there was one."""
        path = self.path(kind, name)
        if not self.has(kind, name):
            return False
        with self.locked(), _disk_errors(path, name):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            sync_directory(self.directory)
        return True

    def names(self, kind: type) -> list[str]:
        """The names of all entries of that kind. Raises StoreError when a very long one cannot be read."""
        return sorted(name or self._long_name(kind, path) for path, name in self._files(kind))

    def entries(self, kind: type[T], only: str | None = None) -> list[Found[T]]:
        """All entries of that kind, or the one called ``only``; the unusable ones with what is wrong with them."""
        files = self._files(kind) if only is None else [(self.path(kind, only), only)]
        found: list[Found[T]] = []
        for path, name in files:
            try:
                text = self._text(path, name or path.name)
                if text is not None:
                    found.append(Found(path, *self._entry(kind, path, text, name)))
            except StoreError as error:
                found.append(Found(path, name, None, error))
        return found

    def path(self, kind: type, name: str) -> Path:
        """Where an entry lies; inside the directory for every name."""
        return self.directory / (_stem(name) + _suffix(kind))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other writers out, for work that reads first and writes by what it read.

        Raises StoreError when another process has kept the lock for a minute.
        """
        if self._lock_depth:
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1
            return
        self._create_directory()
        descriptor = self._lock()
        self._lock_depth = 1
        try:
            self._before_change()
            self._remove_litter()
            yield
        finally:
            self._lock_depth = 0
            os.close(descriptor)

    # --- entries ---

    @property
    def _file_mode(self) -> int:
        return 0o660 if self._shared else 0o600

    def _text(self, path: Path, name: str) -> bytes | None:
        if not self._inspect():
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
            raise _unusable(path, name, f"cannot be read: {error.strerror}") from error
        if len(text) > MAX_BYTES:
            raise _unusable(path, name, f"is larger than {MAX_BYTES} bytes, so no entry of this store")
        return text

    def _vault_texts(self) -> Iterator[bytes]:
        """The vault texts of all entries; what is damaged proves nothing of a secret."""
        for path in sorted(self.directory.glob("[!.]*.yml")) if self._inspect() else ():
            with contextlib.suppress(StoreError):
                text = self._text(path, path.name) or b""
                if text.startswith(VAULT_HEADER):
                    yield text

    def _files(self, kind: type) -> list[tuple[Path, str | None]]:
        """The entries' files with the names that they stand for; None where only the content tells the name."""
        if not self._inspect():
            return []
        suffix = _suffix(kind)
        with _disk_errors(self.directory):
            found = sorted(file for file in os.listdir(self.directory) if file.endswith(suffix) and file != suffix)
        return [(self.directory / file, _name(file.removesuffix(suffix))) for file in found]

    def _document(self, kind: type, path: Path, text: bytes, shown: str) -> dict[str, Any]:
        """What a file holds, proven to be what its name says. ``shown`` is how errors call the entry."""
        if not text.startswith(VAULT_HEADER):
            raise _unusable(path, shown, "is not an Ansible Vault file (empty, truncated, or decrypted in place)")
        try:
            plain = self._vault.decrypt(text)
        except NoSecretError:
            raise
        except VaultError as error:
            raise _unusable(path, shown, str(error)) from None
        try:
            document = yaml.safe_load(plain)  # the loader in C is quicker, but crashes on deep nesting
        except (yaml.YAMLError, ValueError, RecursionError):
            # Without the cause: it quotes the content.
            raise _unusable(path, shown, "holds no YAML") from None
        if not isinstance(document, dict) or not isinstance(document.get("entry"), dict):
            raise _unusable(path, shown, "does not hold what this collection writes")
        if document.get("format") != FORMAT:
            problem = f"has the format {document.get('format')!r}, and this version knows format {FORMAT} only"
            raise _unusable(path, shown, problem)
        kept_kind, kept_name = document.get("kind"), document.get("name")
        if (
            kept_kind != kind.KIND  # type: ignore[attr-defined]
            or not isinstance(kept_name, str)
            or self.path(kind, kept_name) != path
        ):
            problem = f"holds {kept_kind} {kept_name!r}, not what its file name says; it was renamed or swapped by hand"
            raise _unusable(path, shown, problem)
        return document

    def _entry(self, kind: type[T], path: Path, text: bytes, name: str | None) -> tuple[str, T]:
        document = self._document(kind, path, text, name or path.name)
        try:
            source = f"{document['name']!r} in {self.directory}"
            return document["name"], kind.from_document(document["entry"], source)  # type: ignore[attr-defined]
        except PelionError as error:
            raise _unusable(path, document["name"], f"is not whole: {error}".rstrip(".")) from error

    def _long_name(self, kind: type, path: Path) -> str:
        text = self._text(path, path.name)
        if text is None:
            raise _unusable(path, path.name, "was removed just now; try again")
        return str(self._document(kind, path, text, path.name)["name"])

    # --- the disk ---

    def _remove_litter(self) -> None:
        """Temporary files of killed writers; under the lock, there is no other kind."""
        with contextlib.suppress(OSError):
            for file in os.listdir(self.directory):
                if file.startswith(".") and file.endswith(LITTER):
                    os.unlink(self.directory / file)

    def _lock(self) -> int:
        path = self.directory / ".lock"
        with _disk_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if self._shared and os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o660)
            deadline = time.monotonic() + LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return descriptor
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StoreError(
                            f"The store {self.directory} has been locked by another process for "
                            f"{LOCK_SECONDS:.0f} seconds. `fuser -v {path}` tells by which.",
                            path=str(self.directory),
                        ) from None
                    time.sleep(0.02)
        except OSError as error:
            os.close(descriptor)
            raise _unusable(path, None, f"cannot be locked: {error.strerror}") from error
        except BaseException:
            os.close(descriptor)
            raise

    def _create_directory(self) -> None:
        if self._inspect():
            return
        self._vault.require_secrets()
        with _disk_errors(self.directory):
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # made by another process just now
                self.directory.mkdir(mode=0o700)
                if self._shared:
                    # Files made in a setgid directory belong to its group.
                    self.directory.chmod(0o2770)
        self._inspect()

    def _inspect(self) -> bool:
        """Whether the directory is there. Raises StoreError when it is open to everybody."""
        if self._inspected:
            return True
        try:
            status = self.directory.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise _unusable(self.directory, None, f"cannot be used: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise _unusable(self.directory, None, "is not a directory")
        for path in (self.directory.resolve(), *self.directory.resolve().parents):
            mode = path.stat().st_mode
            sticky_parent = mode & stat.S_ISVTX and path != self.directory.resolve()
            if mode & stat.S_IWOTH and not sticky_parent:
                raise StoreError(
                    f"Everybody may write to {path}, so anyone could remove or exchange what is in the store "
                    f"{self.directory}. Do `chmod o-w {path}`, or choose another place.",
                    path=str(self.directory),
                )
        for oddity in self._shared_oddities(status) if self._shared else self._private_oddities(status):
            self._warn(f"The store {self.directory} {oddity}")
        self._inspected = True
        return True

    def _private_oddities(self, status: os.stat_result) -> Iterator[str]:
        if status.st_uid != os.geteuid():
            yield f"belongs to user {status.st_uid}, but this is run by user {os.geteuid()}."
        if status.st_mode & 0o077:
            yield f"is meant for one user, but others may enter it. Do `chmod 700 {self.directory}`."

    def _shared_oddities(self, status: os.stat_result) -> Iterator[str]:
        if os.geteuid() != 0 and status.st_gid not in {os.getegid(), *os.getgroups()}:
            yield (
                f"belongs to the group {_group_name(status.st_gid)}, in which you are not; "
                "what you write there may be unreadable for its group."
            )
        if status.st_mode & 0o2770 != 0o2770:
            yield (
                f"has the mode {stat.S_IMODE(status.st_mode):04o}, so a team cannot share it. "
                f"Do `chmod 2770 {self.directory}`, and give it the team's group with chgrp."
            )


class _Dumper(yaml.SafeDumper):
    """Safe YAML with several lines of text, such as PEM, as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _suffix(kind: type) -> str:
    return f".{kind.KIND}.yml"  # type: ignore[attr-defined]


def _stem(name: str) -> str:
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


def _name(stem: str) -> str | None:
    """The name of which ``stem`` came, or None when only the file's content tells it."""

    def replace(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes.fromhex(match[1].decode())
        return b"_" if match[2] == b"_" else match[2].upper()

    try:
        name = re.sub(rb"~([0-9a-f]{2})|_([_a-z])", replace, stem.encode()).decode()
        return name if _stem(name) == stem else None
    except (UnicodeError, StoreError):
        return None


_ENCODED = {octet: f"~{octet:02x}" for octet in range(256)}
_ENCODED |= {octet: chr(octet) for octet in b"abcdefghijklmnopqrstuvwxyz0123456789.-"}
_ENCODED |= {octet: "_" + chr(octet).lower() for octet in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_"}


def _group_name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def _unusable(path: Path, name: str | None, problem: str) -> StoreError:
    if name is None:
        return StoreError(f"{path} {problem}.", path=str(path))
    return StoreError(f"The stored entry {name!r} ({path}) {problem}.", path=str(path), name=name)


_ADVICE = {
    errno.ENOSPC: "Make room on that disk and run it again; the old state is whole.",
    errno.EDQUOT: "Your disk quota is used up. Make room and run it again; the old state is whole.",
    errno.EROFS: "That disk is read-only; choose another place for the store, or mount it writable.",
    errno.EACCES: "Get yourself into the group that owns the store, or choose another place.",
    errno.EPERM: "Get yourself into the group that owns the store, or choose another place.",
}


@contextlib.contextmanager
def _disk_errors(path: Path, name: str | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        raise StoreError(
            f"The store cannot be changed at {path}: {error.strerror}. {advice}".rstrip(),
            path=str(path),
            **({"name": name} if name else {}),
        ) from error
