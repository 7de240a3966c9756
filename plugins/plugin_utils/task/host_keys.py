# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh host keys that a board's connection is compared with, by what ssh itself makes of its options."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..board.errors import BoardError
from ..discovery.ssh import pinned
from ..fleet.host_keys import HostKeys
from .turns import others_turn

_DEFAULT_PORT = 22
_OFF = frozenset({"false", "no", "off"})
_TIMEOUT = 30
"""Seconds. ssh answers at once, unless a command in its configuration hangs."""


def host_keys_of(connection: Any, task_vars: Mapping[str, Any]) -> HostKeys:
    """Of the board of a task, which ``connection`` (an Ansible connection plugin) leads to.

    ssh goes by the first of several values of an option. They come from Ansible's configuration, from variables and
    from ssh's own configuration, so ssh is asked which ones count. It looks for a board under one name, and accepts
    every key that it finds there.
    """
    if connection.transport != "ssh":
        return HostKeys(unproven=f"the connection plugin {connection.transport} is not ssh")
    try:
        settings = SshSettings.asked(connection)
    except SshSettingsError as error:
        return HostKeys(unproven=str(error))
    if settings.is_off("stricthostkeychecking"):
        return HostKeys(unproven="ssh does not check host keys (StrictHostKeyChecking or Ansible's host_key_checking)")
    if not settings.is_off("verifyhostkeydns", default="false"):
        return HostKeys(unproven="ssh takes host keys from DNS (VerifyHostKeyDNS)")
    command = settings.one("knownhostscommand", "none")
    if command != "none":
        pins = sorted(str(pin) for pin in task_vars.get("mbl_host_key_pins") or ())
        if pins and f"KnownHostsCommand={command}" in shlex.split(pinned(pins)):
            return HostKeys(tuple(pins), pinned=True)
        return HostKeys(unproven="ssh takes host keys from another program (KnownHostsCommand)")
    try:
        lines = list(settings.known_hosts(str(task_vars.get("mbl_known_hosts", ""))))
    except SshSettingsError as error:
        return HostKeys(unproven=str(error))
    return HostKeys(tuple(sorted(set(fingerprints(lines, settings.lookup_names)))))


@contextmanager
def known_by_key(connection: Any, task_vars: Mapping[str, Any]) -> Iterator[None]:
    """Within it, a board's error says by which host keys ssh knows who has answered, though the answer is of no use."""
    try:
        yield
    except BoardError as error:
        error.facts["host_keys"] = list(host_keys_of(connection, task_vars).fingerprints)
        raise


class SshSettingsError(Exception):
    """Why it is not known which host keys ssh accepts."""


@dataclass(frozen=True)
class SshSettings:
    """What ssh says that it goes by for a connection: values by the options' names in small letters."""

    values: Mapping[str, str]

    @classmethod
    def asked(cls, connection: Any) -> SshSettings:
        """From `ssh -G`, with the arguments that Ansible gives, in its order. Raises SshSettingsError."""
        command = [str(connection.get_option("ssh_executable")), "-G", *_arguments(connection)]
        try:
            with others_turn():
                ended = subprocess.run(
                    [*command, str(connection.get_option("host"))],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=_TIMEOUT,
                    check=False,
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SshSettingsError(f"`{command[0]} -G` cannot be run ({type(error).__name__})") from error
        if ended.returncode != 0:
            raise SshSettingsError(f"`{command[0]} -G` fails ({ended.stderr.strip()[-200:]})")
        return cls.read(ended.stdout)

    @classmethod
    def read(cls, printed: str) -> SshSettings:
        """From lines of a name and a value."""
        lines = (line.partition(" ") for line in printed.splitlines())
        values: dict[str, str] = {}
        for name, _space, value in lines:
            values.setdefault(name, value)
        return cls(values)

    def one(self, name: str, default: str) -> str:
        return self.values.get(name, default)

    def is_off(self, name: str, default: str = "ask") -> bool:
        return self.one(name, default) in _OFF

    @property
    def lookup_names(self) -> set[str]:
        """The names under which ssh looks for a host's keys."""
        if "hostkeyalias" in self.values:
            return {self.values["hostkeyalias"]}
        host, port = self.one("hostname", ""), int(self.one("port", str(_DEFAULT_PORT)))
        # A key that is noted without a port serves as well where there is none for that port.
        return {host} if port == _DEFAULT_PORT else {f"[{host}]:{port}", host}

    def known_hosts(self, noted: str) -> Iterator[str]:
        """The lines of the files with host keys; ``noted`` is the one that the inventory names, if it does.

        Raises SshSettingsError for files whose names are not known."""
        for option in ("userknownhostsfile", "globalknownhostsfile"):
            value = self.one(option, "")
            # ssh shows a name with spaces in it as it shows several names. Older ones do not fill in tokens.
            names = [noted] if noted and value in (noted, noted.replace("%", "%%")) else value.split()
            for name in names:
                path = Path(name).expanduser()
                if "%" in name and name != noted and not path.exists():
                    raise SshSettingsError(f"the file with the host keys has a name that is not known here ({name})")
                try:
                    yield from path.read_text(encoding="utf-8", errors="replace").splitlines()
                except OSError:
                    continue


def _arguments(connection: Any) -> Iterator[str]:
    """Those of Ansible's arguments for ssh that have a say in host keys."""
    yield from shlex.split(connection.get_option("ssh_args") or "")
    if connection.get_option("host_key_checking") is False:
        yield from ("-o", "StrictHostKeyChecking=no")
    port, user = connection.get_option("port"), connection.get_option("remote_user")
    if port is not None:
        yield from ("-o", f"Port={port}")
    if user:
        yield from ("-o", f'User="{user}"')
    for option in ("ssh_common_args", "ssh_extra_args"):
        yield from shlex.split(connection.get_option(option) or "")


def fingerprints(lines: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Of the keys that a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") has for any of ``names``: hosts' own
    and those of authorities, whose certificates ssh accepts as well. Revoked ones are none."""
    wanted = set(names)
    accepted, revoked = dict[str, None](), set[str]()
    for line in lines:
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#") or not _is_for(fields[0], wanted):
            continue
        try:
            digest = hashlib.sha256(base64.b64decode(fields[2], validate=True)).digest()
        except ValueError:
            continue
        fingerprint = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
        if marker == "@revoked":
            revoked.add(fingerprint)
        else:
            accepted[fingerprint] = None
    yield from (fingerprint for fingerprint in accepted if fingerprint not in revoked)


def _is_for(field: str, names: set[str]) -> bool:
    if not field.startswith("|1|"):
        return any(_matches(name, field.split(",")) for name in names)
    try:
        salt, wanted = (base64.b64decode(part, validate=True) for part in field.split("|")[2:4])
    except ValueError:
        return False
    return any(hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), wanted) for name in names)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of ``patterns`` is for the host and none with ``!`` excludes it."""
    found = False
    for pattern in patterns:
        wildcards = re.escape(pattern.removeprefix("!").lower()).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(wildcards, name.lower()):
            if pattern.startswith("!"):
                return False
            found = True
    return found
