# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ssh` needs to be told for a board, as texts with templates for Ansible to fill in for each host."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

HOST_KEY_ARGUMENTS = "mbl_ssh_host_key_arguments"
"""The variable with the part that is about the host key: HOST_KEY_NOTED, or pinned()."""

# dropbear 2018.76 to 2019.78 (MBL 0.5 to 0.10) signs with SHA-1 only; curve25519 halves the time of a handshake
# between a new client and a new server.
ARGUMENTS = (
    "-o HostKeyAlgorithms=+ssh-rsa -o PubkeyAcceptedAlgorithms=+ssh-rsa "
    "-o KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256 "
    # A shared connection to a board that hangs would be waited for without end.
    "-o ServerAliveInterval=10 -o ServerAliveCountMax=3 "
    f"-o HostKeyAlias={{{{ inventory_hostname }}}} {{{{ {HOST_KEY_ARGUMENTS} }}}}"
)

NO_TERMINAL = "-T"
"""For `ssh` alone. A user's configuration may ask for a terminal, through which a board's shell takes no line as long
as those that hold the items: an injection would never end. Where Ansible itself wants one, it asks after this."""

# Ansible tells shared connections apart by address, port and user alone, so a machine could announce a known board's
# name at its own address and be taken for that board on a connection that was opened, and proven, under another name.
# One that was opened without a check of the host key must not serve where it is checked, hence what Ansible's
# configuration says of that. A socket's path must be short, hence a digest.
CONTROL_PATH = (
    "%(directory)s/mbl-{{ ([inventory_hostname, ansible_host | default(''), ansible_port | default(''),"
    f" ansible_user | default(''), {HOST_KEY_ARGUMENTS}, ansible_ssh_common_args | default(''),"
    " lookup('ansible.builtin.config', 'host_key_checking', 'ssh_args', 'ssh_extra_args', plugin_type='connection',"
    " plugin_name='ssh', wantlist=True)] | string | hash('sha256'))[:24] }}"
)
"""Where the socket of a board's shared connection lies: one for each name and how its host key is compared."""

# ssh splits the value at spaces that are not in double quotes, and takes a percent sign for the begin of a token.
HOST_KEY_NOTED = (
    "-o StrictHostKeyChecking=accept-new -o HashKnownHosts=no "
    """-o {{ ('UserKnownHostsFile="' ~ mbl_known_hosts | replace('%', '%%') ~ '"') | quote }}"""
)
"""The host key is noted at the first contact, in the file that the variable mbl_known_hosts names."""


def pinned(fingerprints: Iterable[str]) -> str:
    """The host key must have one of ``fingerprints`` (`SHA256:…`), whatever any file says. For OpenSSH 8.5 and newer.

    The command gets the fingerprint (%f), type (%t) and text (%K) of the key that the server shows, and tells ssh that
    this is the known one, or nothing.
    """
    cases = "|".join(sorted(fingerprints))
    command = f"""/bin/sh -c 'case "$0" in {cases}) echo "$1 $2 $3" ;; esac' %f %H %t %K"""
    options = (
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        f"KnownHostsCommand={command}",
    )
    return " ".join(f"-o {quote(option)}" for option in options)
