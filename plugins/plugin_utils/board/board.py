# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A board that is reached: one shell program out, its report back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from ..credentials.rules import sha256_hex
from . import kcm
from .answers import Report, Restart, inspection_of, lines_of, read_report, restart_of
from .errors import BoardError
from .inspection import Inspection
from .items import ITEMS, Items
from .surroundings import LOG_KEYS, MOST_OF_LOG, Surroundings
from .way import PORTS, Server, Step, server_in, steps_of

_PROGRAM = Path(__file__).with_name("board_program.sh")
_DIAGNOSE = Path(__file__).with_name("diagnose_program.sh")

LAST_RESPITE = 60
"""Seconds that a board whose time is over gets for undoing what was begun, before its program is killed."""

SERVER_PATIENCE = 30
"""Seconds within which a connection to the server must open: a board that has just started may have no network yet."""


class Board:
    """A board that is reached by ``run``, which sends a text to its `/bin/sh` and returns what that printed.

    ``run`` also gets the seconds after which no answer is to be expected any more. ``lock_timeout`` and
    ``board_timeout``, in seconds, are the options that plugins/doc_fragments/board.py describes.
    """

    def __init__(
        self,
        run: Callable[[str, float], str],
        *,
        lock_timeout: int,
        board_timeout: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._run = run
        self._lock_timeout = lock_timeout
        self._board_timeout = board_timeout
        self._now = now

    def inspect(self, *, may_change: bool) -> Inspection:
        """One exchange, no secrets sent. Puts in order what a cut-off run left, if it ``may_change`` the board.

        Raises BoardError.
        """
        report = self._call("inspect", {}, may_change=may_change)
        with _understood():
            return inspection_of(report, self._now())

    def inject(
        self,
        items: Items,
        *,
        found_digest: str | None,
        bootstrap: str,
        registration_timeout: int,
        server: Server | None = None,
    ) -> Restart:
        """One exchange: put ``items`` in the place of what the board holds, and restart its client.

        ``found_digest`` is the inspection's: a repeated exchange is known by it, and what another tool did since is
        not overwritten. ``bootstrap`` is ``as-is``, ``not-yet`` (refuse when it has bootstrapped since),
        ``keep-identity`` or ``new-identity``. The answer is what the client said within ``registration_timeout``
        seconds, 0 not to wait. With ``server``, nothing is begun on a board from which no connection to it opens.
        Raises BoardError, the board then holding what it held, unless the error's ``changed`` says otherwise.
        """
        values = {
            "bootstrap": bootstrap,
            "found_digest": found_digest or sha256_hex(b""),
            "fingerprint": items.fingerprint,
            "registration_timeout": str(registration_timeout),
            **(server.values() if server else {}),
            "server_patience": str(min(registration_timeout, SERVER_PATIENCE)),
            "input_files": " ".join(f"{name}.bin" for name in ITEMS),
            "inputs_digest": sha256_hex(b"".join(items.values[name] for name in ITEMS)),
            "certificates": "\n".join(_expectations(items)),
            "record_text": "\n".join(f"{key}={value}" for key, value in record_of(items).items()),
        }
        report = self._call("inject", values, functions=_write_items(items), waits=registration_timeout)
        return restart_of(report, way="".join(report["way"][:1]) or "beside")

    def empty(self, *, found_digest: str | None) -> None:
        """One exchange: stop the client and take away all that the board holds for it, its identity included.

        ``found_digest`` is the inspection's: what another tool did since is not taken away. Raises BoardError.
        """
        self._call("empty", {"found_digest": found_digest or sha256_hex(b"")})

    def reconnect(self, *, found_digest: str | None, registration_timeout: int) -> Restart:
        """One exchange: restart the client, whose own pause between attempts grows to a week.

        ``found_digest`` is the inspection's: with what another tool put there since, it would prove something else.
        """
        values = {
            "found_digest": found_digest or sha256_hex(b""),
            "registration_timeout": str(registration_timeout),
        }
        return restart_of(self._call("reconnect", values, waits=registration_timeout), way=None)

    def look_around(self, server: Server | None = None) -> Surroundings:
        """Two exchanges: all that a colleague would ask about the board, and how far a connection to the cloud comes.
        They change nothing, wait for no other run, and take a board as it is: what it does not tell is not there.

        Without ``server``, the way is tried to the one that the client's log names. Raises BoardError where there is no
        answer at all.
        """
        values = {"log_bytes": str(MOST_OF_LOG)}
        lines = lines_of(self._send("diagnose", values, functions=_DIAGNOSE.read_text(), may_change=False))
        server = server or server_in(line for key in reversed(LOG_KEYS) for line in lines.get(key, ()))
        steps: list[Step] = []
        if server:
            values = {**server.values(), "other_ports": " ".join(str(port) for port in PORTS if port != server.port)}
            answer = lines_of(self._send("walk", values, functions=_DIAGNOSE.read_text(), may_change=False))
            steps = steps_of(answer["way"])
        return Surroundings(lines, server, steps)

    def _call(
        self,
        function: str,
        values: Mapping[str, str],
        *,
        functions: str = "",
        may_change: bool = True,
        waits: int = 0,
    ) -> Report:
        """``waits``: how long it may wait for a registration, in seconds."""
        answer = self._send(function, values, functions=functions, may_change=may_change, waits=waits)
        with _understood():
            return read_report(answer)

    def _send(
        self, function: str, values: Mapping[str, str], *, functions: str = "", may_change: bool = True, waits: int = 0
    ) -> str:
        time_limit = self._board_timeout + self._lock_timeout + waits
        values = {
            **values,
            **_KCM_FILES,
            "may_change": "yes" if may_change else "no",
            "lock_timeout": str(self._lock_timeout),
            "time_limit": str(time_limit),
            "last_respite": str(LAST_RESPITE),
        }
        assignments = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
        call = f"{{\n{functions}{assignments}{function}\n}}\n"
        return self._run(_PROGRAM.read_text() + call, time_limit + 2 * LAST_RESPITE)


@contextmanager
def _understood() -> Iterator[None]:
    """What an odd answer makes of the reading of it: a BoardError."""
    try:
        yield
    except (ArithmeticError, LookupError, ValueError) as error:
        raise BoardError.of("bad-answer") from error


def _files(names: Iterable[str]) -> str:
    return " ".join(kcm.file_name(name) for name in names)


_KCM_FILES = {
    "item_files": _files(kcm.FACTORY_ITEMS),
    "encrypted_files": _files(kcm.ENCRYPTED_ITEMS),
    "client_writes": kcm.file_name(kcm.BOOTSTRAP_URI),
    "certificate_files": _files((*kcm.CERTIFICATES, kcm.LWM2M_CERTIFICATE)),
    "lwm2m_files": _files(kcm.LWM2M_ITEMS),
}


def record_of(items: Items) -> dict[str, str]:
    """The record for ``items``, but for the digest of the KCM, which the board adds."""
    return {
        "format": "1",
        "fingerprint": items.fingerprint,
        "developer_certificate": sha256_hex(items.developer_certificate),
        "update_certificate": sha256_hex(items.update_certificate),
    }


def _expectations(items: Items) -> list[str]:
    """For each certificate: KCM file, offset and length of its DER there, SHA-256 of it."""
    wanted = {
        kcm.DEVELOPER_CERTIFICATE: items.developer_certificate,
        kcm.BOOTSTRAP_CA: items.values["MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE"],
        kcm.UPDATE_CERTIFICATE: items.update_certificate,
    }
    return [
        f"{kcm.file_name(name)} {kcm.certificate_offset(name)} {len(der)} {sha256_hex(der)}"
        for name, der in wanted.items()
    ]


def _write_items(items: Items) -> str:
    """A shell function that writes the items' files.

    The bytes are octal escapes for `printf`, which is built into the shell: no process shows them in its
    arguments, and no board has `base64`.
    """
    lines = [
        "printf '{}' >{}.bin".format("".join(f"\\{byte:03o}" for byte in items.values[name]), name) for name in ITEMS
    ]
    return 'write_items() (\ncd "$inputs" &&\n{}\n)\n'.format(" &&\n".join(lines))
