# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards on cables: python -m mdns.responder, with their list (JSON) on standard input; it prints a line when ready.

Each board hears and answers by itself: loss, delay and the rule of one second (RFC 6762 section 6) are its own.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
import json
import random
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .frames import AAAA, PTR, SRV, TXT, A, Query, Record, frame, message, name, query

KIND = "_ssh._tcp.local."


@dataclass
class Board:
    """``how``: `whole` (all records in one answer), `split` (each in a datagram of its own), `pointer` (others only
    when asked for), `silent` (answers nothing). ``waits``: for the rest of a truncated question. ``loss``: of questions
    and of answers. ``once_a_second``: the rule. ``one_shot``: answers questions from another port by unicast.
    ``quiet``: tells the group nothing. ``lacks``: types of records that it does not have. ``goodbye``: leaves so many
    seconds after it was asked first.
    ``ttl``: seconds for which its server and addresses hold.
    """

    name: str
    cable: str
    ipv4: str | None = None
    ipv6: str | None = None
    mac: str = ""
    host: str = ""
    text: str = "mblos"
    port: int = 22
    how: str = "whole"
    waits: bool = False
    loss: float = 0
    late: float = 0
    delay: tuple[float, float] = (0.02, 0.12)
    once_a_second: bool = True
    one_shot: bool = True
    quiet: bool = False
    twice: bool = False
    lacks: tuple[str, ...] = ()
    from_port: int = 5353
    hops: int = 255
    sender: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    goodbye: float | None = None
    ttl: int = 120
    told: dict[tuple[int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.host = self.host or f"{self.name}.local."
        self.instance = f"{self.name}.{KIND}"
        text = self.text.encode()
        every = {
            "PTR": [Record(KIND, PTR, name(self.instance), 4500)],
            "SRV": [Record(self.instance, SRV, bytes(4) + self.port.to_bytes(2, "big") + name(self.host), self.ttl)],
            "TXT": [Record(self.instance, TXT, bytes([len(text)]) + text, 4500)],
            "A": [], "AAAA": [],
        }  # fmt: skip
        for address in (self.ipv4, self.ipv6, *self.more):
            if address:
                parsed = ipaddress.ip_address(address)
                kind = "A" if parsed.version == 4 else "AAAA"
                every[kind].append(Record(self.host, A if parsed.version == 4 else AAAA, parsed.packed, self.ttl))
        self.records = [record for kind, each in every.items() if kind not in self.lacks for record in each]

    def source(self, version: int) -> str | None:
        return self.sender.get(str(version)) or (self.ipv4 if version == 4 else self.ipv6)

    def answers(self, questions: frozenset[tuple[str, int]], known: frozenset[str]) -> list[Record]:
        return [
            record
            for record in self.records
            if (record.name.lower(), record.kind) in questions
            and not (record.kind == PTR and self.instance.lower() in known)
        ]


class Responder:
    """Plays ``boards``, by ``clock``, with what ``chance`` brings; ``send`` gets the cable's name and a frame.

    ``due`` is a heap of what is to be done at which time.
    """

    def __init__(
        self,
        boards: list[Board],
        *,
        clock: Callable[[], float],
        send: Callable[[str, bytes], object],
        chance: random.Random,
    ) -> None:
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.clock, self.send, self.chance = clock, send, chance
        self.begin = clock()
        self.order = itertools.count()
        self.made: dict[tuple, bytes] = {}
        self.asked_for: dict[tuple[str, str, int], list[Board]] = {}
        for board in boards:
            for key in {(board.cable, record.name.lower(), record.kind) for record in board.records}:
                self.asked_for.setdefault(key, []).append(board)

    def hear(self, cable: str, heard: Query) -> None:
        now = self.clock()
        questions = frozenset(heard.questions)
        if heard.questions:
            keys = [(cable, *question) for question in heard.questions]
            concerned = {id(board): board for key in keys for board in self.asked_for.get(key, ())}
        else:
            # The rest of a truncated question.
            key = (cable, KIND, PTR)
            concerned = {id(board): board for board in self.asked_for.get(key, ()) if board.waits}
        for board in concerned.values():
            if board.how == "silent" or not board.source(heard.version):
                continue
            if now - self.begin < board.late or (board.loss and self.chance.random() < board.loss):
                continue
            if not heard.questions:
                if board.instance.lower() in heard.known:
                    board.told[(heard.version, -1)] = now
                continue
            records = board.answers(questions, heard.known)
            if records:
                shared = any(record.kind == PTR for record in records)
                if heard.truncated and board.waits:
                    delay = self.chance.uniform(0.4, 0.5)
                else:
                    delay = self.chance.uniform(*board.delay) if shared else 0.0
                self._later(now + delay, lambda b=board, h=heard, r=records, a=now: self._answer(b, h, r, a))
            if board.goodbye is not None:
                self._later(now + board.goodbye, lambda b=board: self._leave(b))
                board.goodbye = None

    def _later(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.due, (when, next(self.order), what))

    def _answer(self, board: Board, heard: Query, records: list[Record], asked: float) -> None:
        if heard.truncated and board.waits and board.told.get((heard.version, -1), 0) >= asked:
            return
        by_unicast = heard.source[2] != 5353 and board.one_shot
        if board.quiet and not by_unicast:
            return
        now = self.clock()
        if not by_unicast and board.once_a_second:
            records = [each for each in records if now - board.told.get((heard.version, each.kind), 0) >= 1]
        if not records:
            return
        extra = [each for each in board.records if each not in records] if board.how != "pointer" else []
        if any(each.kind in (A, AAAA, TXT) for each in records) and not any(each.kind == PTR for each in records):
            extra = []
        messages = [[each] for each in (*records, *extra)] if board.how == "split" else [[*records, *extra]]
        if not by_unicast:
            for each in (*records, *extra):
                board.told[(heard.version, each.kind)] = now
        for part in messages:
            self._send(board, heard, part, by_unicast)
            if board.twice:
                self._send(board, heard, part, by_unicast)

    def _send(self, board: Board, heard: Query, records: list[Record], by_unicast: bool) -> None:
        if board.loss and self.chance.random() < board.loss:
            return
        to, number = (heard.source, heard.id) if by_unicast else (None, 0)
        # Five hundred boards in one process: what was made once is kept.
        key = (id(board), heard.version, tuple(record.kind for record in records), to, number)
        if key not in self.made:
            self.made[key] = self._frame(board, heard.version, message(records, id=number), to)
        self.send(board.cable, self.made[key])

    def _leave(self, board: Board) -> None:
        board.how = "silent"
        for version in (4, 6):
            if board.source(version):
                goodbye = message([Record(KIND, PTR, name(board.instance), 0)])
                self.send(board.cable, self._frame(board, version, goodbye, None))

    @staticmethod
    def _frame(board: Board, version: int, data: bytes, to: tuple[bytes, str, int] | None) -> bytes:
        mac = bytes.fromhex(board.mac.replace(":", ""))
        return frame(data, mac, board.source(version), to=to, port=board.from_port, hops=board.hops)


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    boards = [Board(**{**each, "delay": tuple(each.get("delay", (0.02, 0.12)))}) for each in plan["boards"]]
    cables = {cable: _open(cable) for cable in {board.cable for board in boards}}
    responder = Responder(
        boards, clock=time.monotonic, send=lambda cable, sent: cables[cable].send(sent), chance=random.Random()
    )
    print("ready", flush=True)
    while True:
        left = max(responder.due[0][0] - time.monotonic(), 0) if responder.due else 60
        ready = select.select(list(cables.values()), [], [], left)[0]
        for cable, opened in cables.items():
            if opened in ready:
                data, address = opened.recvfrom(9000)
                # What leaves here comes back as well.
                if address[2] != socket.PACKET_OUTGOING and (heard := query(data)):
                    responder.hear(cable, heard)
        now = time.monotonic()
        while responder.due and responder.due[0][0] <= now:
            heapq.heappop(responder.due)[2]()


def _open(cable: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    opened.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)
    opened.setsockopt(socket.SOL_SOCKET, 32, 32 << 20)
    opened.bind((cable, 0))
    return opened


if __name__ == "__main__":
    main()
