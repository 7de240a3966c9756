# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A street in virtual time: the same boards, no network, and seconds that pass at once.

What depends on chance (loss, delays) can so be tried hundreds of times, with a seed each.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .frames import frame, payload, query
from .responder import Board, Responder

OWN_MAC = bytes.fromhex("020000000001")
OWN = {4: "10.0.0.1", 6: "fe80::1"}


class VirtualWire:
    """In place of wire.Wire on one link, with ``boards`` (see responder.Board) behind it.

    ``datagram(sender, data)`` makes what receive() gives; ``now`` is the time. Loss and delays come from ``seed``.
    """

    dropped = 0

    def __init__(
        self, link: object, boards: Iterable[dict[str, Any]], datagram: Callable[[str, bytes], Any], seed: int
    ) -> None:
        self.links = (link,)
        self.now = 1000.0
        self._datagram = datagram
        self._heard: list[tuple[str, bytes]] = []
        played = [Board(**{**each, "delay": tuple(each.get("delay", (0.02, 0.12)))}) for each in boards]
        self._responder = Responder(played, clock=lambda: self.now, send=self._hear, chance=random.Random(seed))
        self._cables = {board.cable for board in played}

    def send(self, _link: object, packets: Iterable[bytes], *, one_shot: bool) -> None:
        for packet in packets:
            for own in OWN.values():
                asked = query(frame(packet, OWN_MAC, own, port=40000 if one_shot else 5353))
                for cable in self._cables:
                    if asked:
                        self._responder.hear(cable, asked)

    def receive(self, seconds: float) -> Iterator[Any]:
        end = self.now + seconds
        due = self._responder.due
        while due and due[0][0] <= end:
            when, _order, what = heapq.heappop(due)
            self.now = max(self.now, when)
            what()
            while self._heard:
                yield self._datagram(*self._heard.pop(0))
        self.now = end

    def _hear(self, _cable: str, sent: bytes) -> None:
        self._heard.append(payload(sent))
