# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with one board, the most likely cause first, and an archive of all that was seen of it, for a colleague
who helps. No secret is in it."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ..board.description import BoardStatus
from ..board.inspection import CLOCK_TOLERANCE, LOGS, Inspection
from ..board.surroundings import LOG, LOG_KEYS, SECTIONS, Surroundings
from ..reasons import Reason
from ..times import parse_time, span_text, time_text
from ..words import printable
from .entries import BoardReport
from .reasons import KINDS
from .redaction import Redactor
from .status import unprovisioned


@dataclass(frozen=True)
class Diagnosis:
    """Of the board ``name`` at ``made_at``: what it was ``found`` to hold, None where it could not be asked for the
    reason ``why_not``, and what was ``seen`` around it. ``told`` is what the last report says of it, or None.
    """

    name: str
    made_at: datetime
    found: Inspection | None
    why_not: Reason | None
    seen: Surroundings
    told: BoardReport | None = None

    @property
    def findings(self) -> list[Reason]:
        """Reasons of KINDS, the most likely cause of what is wrong first; none where nothing was found."""
        return [
            *([self.why_not] if self.why_not else []),
            *(self._of_board(self.found) if self.found else self._of_way()),
        ]

    def _of_board(self, found: Inspection) -> Iterator[Reason]:
        yield from (Reason(code, {"detail": detail}) for code, detail in found.obstacles)
        if why := unprovisioned(BoardStatus.of(found)):
            yield why
        yield from self._of_certificates(found)
        yield from self._of_way()
        yield from _of_client(found)
        if any("client's log cannot show" in warning for warning in found.warnings):
            yield Reason("log-not-written", {"directory": LOGS})
        if abs(found.drift) > CLOCK_TOLERANCE.total_seconds():
            direction = "ahead of" if found.drift > 0 else "behind"
            yield Reason("clock-differs", {"span": span_text(abs(found.drift)), "direction": direction})

    def _of_certificates(self, found: Inspection) -> Iterator[Reason]:
        for title, held in _certificates(found):
            begins, ends = parse_time(held["not_before"]), parse_time(held["not_after"])
            if ends < self.made_at:
                days = (ends - self.made_at).days
                yield Reason("certificate-ended", {"title": title, "days": days, "not_after": held["not_after"]})
            elif not begins <= found.time <= ends:
                facts = {"clock": time_text(found.time), "from": held["not_before"], "until": held["not_after"]}
                yield Reason("outside-validity", {"title": title, **facts})

    def _of_way(self) -> Iterator[Reason]:
        """The first step that fails; those after it need not be told."""
        server = self.seen.server
        if server is None:
            return
        steps = {(step.kind, step.port): step for step in self.seen.steps}
        name, tcp, tls = (steps.get(key) for key in (("name", None), ("tcp", server.port), ("tls", server.port)))
        if name and name.outcome == "bad":
            yield Reason("name-not-resolved", {"host": server.host})
        elif tcp and tcp.outcome == "bad":
            others = [str(step.port) for step in self.seen.steps if step.kind == "tcp" and step.outcome == "good"]
            facts = {"server": str(server), "why": tcp.detail, **({"others": others} if others else {})}
            yield Reason("port-closed", facts)
        elif tls and tls.outcome == "bad":
            yield Reason("no-tls", {"server": str(server)})

    def summary(self) -> list[str]:
        """What is wrong, in lines for people."""
        said = [
            f"{number}. {printable(why.message(KINDS))} ({why.code})" for number, why in enumerate(self.findings, 1)
        ]
        return said or ["Nothing was found that is wrong."]

    def page(self) -> str:
        """All that is to be read first."""
        unseen = [
            *self.seen.lines.get("untried", ()),
            *self.seen.lines.get("cut", ()),
            *self.seen.lines.get("error", ()),
        ]
        parts = [
            [f"Diagnosis of {self.name}, {time_text(self.made_at)}"],
            ["What is wrong, the most likely cause first:", *_indented(self.summary())],
            [self._where_to(), *_indented(map(str, self.seen.steps)), *_indented(self._validity())],
            ["What could not be had:", *_indented(unseen)] if unseen else [],
            ["What is in this archive:", *_indented(f"{file}: {what}" for file, what, _content in self._texts())],
            [
                "What may be a key, a certificate, an API key, an account ID or a password was taken out, and IDs were",
                "shortened; harmless text that looks like one is gone as well.",
            ],
        ]
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"

    def _where_to(self) -> str:
        if self.seen.server is None:
            return (
                "The way to the cloud could not be tried: its client's log names no server. Name it with "
                "-e server=HOST:PORT."
            )
        return f"The way to the cloud, {self.seen.server}, as the board sees it:"

    def _validity(self) -> Iterator[str]:
        for title, held in _certificates(self.found) if self.found else ():
            begins, ends = parse_time(held["not_before"]), parse_time(held["not_after"])
            valid = self.found is not None and begins <= self.found.time <= ends
            detail = f"{held['not_before']} to {held['not_after']}"
            yield f"Its clock is within the {title} certificate's validity: {'yes' if valid else 'no'} ({detail})"

    def _texts(self) -> Iterator[tuple[str, str, Any]]:
        """Of each file but the page: name, what it is, and what is in it, lines or a JSON object."""
        yield "diagnosis.json", "the same for scripts", self.to_json()
        if self.found:
            what = "what the board holds, and what its utility and client say, as mbl_pelion_status has it"
            yield "status.json", what, BoardStatus.of(self.found).to_json()
        if self.told:
            yield "report.json", "what the last report said of it", asdict(self.told)
        logs = {key: (f"{LOG}{f'.{n}' if n else ''}", "its client's log") for n, key in enumerate(LOG_KEYS)}
        for key, (name, what) in {**logs, **{key: (key, what) for key, what in SECTIONS.items()}}.items():
            if key in self.seen.lines:
                yield f"{name}.txt", what, self.seen.lines[key]

    def files(self) -> dict[str, str]:
        """The archive's files by name, without secrets."""
        redactor = self.redactor()
        files = {"diagnosis.txt": redactor.text(self.page())}
        for name, _what, content in self._texts():
            if isinstance(content, Mapping):
                files[name] = json.dumps(redactor.value(content), indent=2) + "\n"
            else:
                files[name] = redactor.text("\n".join(content)) + "\n"
        return files

    def redactor(self) -> Redactor:
        """That shortens the IDs and fingerprints that are known to be no secrets. A common name may be an ID, too."""
        certificates = self.found.certificates.values() if self.found else ()
        held = [certificate.get(fact) for certificate in certificates for fact in ("fingerprint", "common_name")]
        ids = [self.found.device_id, *self.found.remembered.values()] if self.found else []
        told = [self.told.device_id] if self.told else []
        return Redactor(text for text in (*held, *ids, *told) if text and re.fullmatch("[0-9a-f]{32,64}", text))

    def to_json(self) -> dict[str, Any]:
        return {
            "board": self.name,
            "made_at": time_text(self.made_at),
            "findings": [{**why.to_json(), "message": why.message(KINDS)} for why in self.findings],
            "server": str(self.seen.server) if self.seen.server else None,
            "way": [asdict(step) for step in self.seen.steps],
        }

    def archive(self) -> bytes:
        """A tar.gz with one directory."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for name, text in self.files().items():
                entry = tarfile.TarInfo(f"{file_stem(self.name)}/{name}")
                data = text.encode(errors="replace")
                entry.size, entry.mtime, entry.mode = len(data), int(self.made_at.timestamp()), 0o644
                tar.addfile(entry, io.BytesIO(data))
        return content.getvalue()


def file_stem(name: str) -> str:
    """``name`` of a board as a file's, which is in no other directory."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name).lstrip(".") or "board"


def _of_client(found: Inspection) -> Iterator[Reason]:
    error = found.log.error
    if not found.client_runs:
        yield Reason("client-ended", {"error": error} if error else {})
    elif found.registered is False and error:
        yield Reason("client-error", {"error": error, "meaning": found.log.error_meaning or ""})
    elif found.registered is False:
        yield Reason("client-not-registered")


def _certificates(found: Inspection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for title, held in (("developer", found.developer_certificate), ("update", found.update_certificate)):
        if held and held.get("not_before") and held.get("not_after"):
            yield title, held


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
