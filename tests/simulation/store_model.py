# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Team stores in memory: the real code over a real file system that is none of a disk's, where each look and each
replacing of a file is an exchange.

What is decrypted and encrypted is not: a vault that opens at once stands for Ansible's.
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from actors import Actor, Hub
from virtual import Patch

from ansible_collections.pelion.mbl.plugins.plugin_utils import durable_file
from ansible_collections.pelion.mbl.plugins.plugin_utils.store import directory, noted_file, store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.store import Store
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.vault import VAULT_HEADER


class OpenVault:
    """In the place of Vault: with its header, and no secret that could be wrong."""

    def require_secrets(self) -> None: ...

    def was_typed(self) -> bool:
        return False

    def chosen_id(self) -> str:
        return "default"

    def opens(self, text: bytes) -> bool:
        return True

    def encrypt(self, plain: bytes) -> bytes:
        return VAULT_HEADER + b"\n" + base64.b64encode(plain)

    def replace(self, old_text: bytes, plain: bytes) -> bytes:
        return self.encrypt(plain)

    def decrypt(self, text: bytes) -> bytes:
        return base64.b64decode(text.partition(b"\n")[2])


def store_at(path: Path, warn: Callable[[str], None] = lambda text: None) -> Store:
    vault: Any = OpenVault()
    return Store(path, vault, shared=True, warn=warn)


class _Os:
    """``os`` for the store's modules. Descriptors of an actor that was killed have been closed for it."""

    def __init__(self, hub: Hub, changed: Callable[[Path], None]) -> None:
        self._hub, self._changed = hub, changed

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        if not flags & os.O_DIRECTORY:
            self._hub.exchange(f"opens {Path(path).name}")
        descriptor = os.open(path, flags, mode)
        if self._hub.current:
            self._hub.current.descriptors.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        actor = self._hub.current
        if actor and descriptor not in actor.descriptors:
            return
        if actor:
            actor.descriptors.discard(descriptor)
        os.close(descriptor)

    def fsync(self, descriptor: int) -> None: ...

    def urandom(self, size: int) -> bytes:
        return bytes(size)

    def replace(self, source: Any, target: Any) -> None:
        if self._hub.exchange(f"replaces {Path(target).name}", "disk", ("there is no room",)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.replace(source, target)
        self._changed(Path(target))

    def unlink(self, path: Any) -> None:
        if not (self._hub.current and self._hub.current.dead):
            os.unlink(path)


def close_for(actor: Actor) -> None:
    """What the kernel does when a process ends."""
    for descriptor in actor.descriptors:
        os.close(descriptor)
    actor.descriptors.clear()


def patches(hub: Hub, changed: Callable[[Path], None]) -> Iterator[Patch]:
    fake = _Os(hub, changed)
    for module in (directory, durable_file):
        yield module, "os", os, fake
    text, read = store.Store._text, noted_file.NotedFile.read

    def text_exchanged(self: Any, path: Path, name: str) -> Any:
        hub.exchange(f"reads {path.name}")
        return text(self, path, name)

    def read_exchanged(self: Any) -> Any:
        hub.exchange(f"reads {self.path.name}")
        return read(self)

    def taken(descriptor: int, operation: int) -> bool:
        return hub.suspended or take(descriptor, operation)

    take = directory._taken
    yield directory, "_taken", take, taken
    yield store.Store, "_text", text, text_exchanged
    yield noted_file.NotedFile, "read", read, read_exchanged
