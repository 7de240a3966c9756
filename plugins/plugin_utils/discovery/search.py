# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One search: when to ask what, and when all is known.

A board's answer gets lost now and then, on the air or in a full buffer, and who answered somebody else a moment ago
stays silent for a second. So the network is asked early and again, in both ways of wire.Wire, and how many questions
the known services left unanswered tells how sure it is that there are no others: the search ends when it would be a
rare chance for one to have missed every question. Where exactly those are found that earlier runs found, as most
often, hardly any others are expected, so the search ends with the last of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from math import ceil

from .fairness import in_turn
from .knowledge import RECORD_OF, Knowledge, Service
from .links import Link
from .packets import PTR, SRV, TXT, KnownAnswer, Question, decode, encode
from .wire import Wire

_PAUSE = 0.25
"""Seconds between questions in the first five seconds; those who wait longer ask less and less often."""
_EARLY = 5.0
_GROUP_TURN = 5
"""Every so many questions, one is the group's: more than a second after the one before, that is, by when those who keep
the rule of one second answer again."""
_GROUP_ONLY = 0.1
"""The share of boards that is taken to tell the group only, and once a second; it matters where answers get lost."""
_LONGEST_PAUSE = 5.0
_LONGEST_WAIT = 1.0
"""Seconds for which a question waits while answers are still pouring in: another one would only add to the crowd."""
_SPLIT = 0.05
"""Seconds within which the parts of an answer arrive. What lacks then is asked for without waiting for its turn."""
_RARE = 0.001
"""How many services may be expected to have been missed when the search ends."""
_NEW = 0.1
"""How many services are expected beside those that earlier runs found, where these were found and no others; else it is
as many as were found."""
_MOST = 2000
"""Services that one round asks for, or tells as known: a flood of names must not make us flood others."""
_POINTER_TTL = 4500


@dataclass(frozen=True)
class Search:
    """How to search, with seconds throughout.

    ``quiet`` is how long nothing new must have come; ``concerns`` says of a service whether it can be a wanted one
    (others neither hold the search nor are asked for), ``is_known`` which come first if there are too many; ``by_name``
    are instances to ask for by name as well. ``is_enough`` says whether as many as expected are there: before that
    there is no early end, and then nobody else is waited for; None when nobody knows how many there are. ``is_as_ever``
    says whether all that earlier runs found are there.
    """

    timeout: float
    quiet: float
    concerns: Callable[[Service], bool]
    is_known: Callable[[Service], bool]
    by_name: Iterable[str] = ()
    is_enough: Callable[[], bool] | None = None
    is_as_ever: Callable[[], bool] = lambda: False


def run(search: Search, wire: Wire, knowledge: Knowledge) -> None:
    """Search until all is known or the time is over; what was found is in ``knowledge``."""
    _Round(search, wire, knowledge).run()


class _Round:
    def __init__(self, search: Search, wire: Wire, knowledge: Knowledge) -> None:
        self._search = search
        self._wire = wire
        self._knowledge = knowledge
        self._asked = 0
        self._times: Counter[tuple[int, Question]] = Counter()
        self._dropped = 0
        self._begin = self._last_news = self._last_heard = time.monotonic()

    def run(self) -> None:
        end = self._begin + self._search.timeout
        turn = last_turn = self._begin
        while (now := time.monotonic()) < end:
            is_quiet = now - self._last_heard >= _SPLIT or now - last_turn >= _LONGEST_WAIT
            if now >= turn and (is_quiet or not self._asked):
                if self._is_over(now):
                    return
                self._ask()
                turn, last_turn = now + _pause(now - self._begin), now
            else:
                self._ask_at_once(now)
            self._hear(min(max(turn - now, _SPLIT / 2), _SPLIT, end - now), end)

    def _hear(self, seconds: float, end: float) -> None:
        for datagram in self._wire.receive(seconds):
            self._last_heard = time.monotonic()
            if self._last_heard >= end:
                return  # More may be waiting than there is time for.
            records = decode(datagram.data)
            news = self._knowledge.hear(datagram.link, datagram.sender, records, asked=self._asked)
            if any(self._search.concerns(service) for service in news):
                self._last_news = self._last_heard

    def _ask(self) -> None:
        """The next question to all, and again what is still missing."""
        one_shot = self._asked % _GROUP_TURN != 0
        self._asked += 1
        concerning = self._concerning()
        missing = self._missing(concerning)
        for link in self._wire.links:
            questions = [Question(kind, PTR) for kind in self._knowledge.kinds]
            known = self._known_answers(link, concerning)
            self._wire.send(link, encode(questions, known), one_shot=one_shot)
            self._send(link, [*missing.get(link, ()), *self._by_name(link)], one_shot=one_shot)

    def _ask_at_once(self, now: float) -> None:
        new = [service for service in self._concerning() if now - service.since >= _SPLIT]
        for link, questions in self._missing(new).items():
            self._send(link, [each for each in questions if not self._times[link.index, each]], one_shot=True)

    def _send(self, link: Link, questions: list[Question], *, one_shot: bool) -> None:
        questions = list(dict.fromkeys(questions))
        self._times.update((link.index, question) for question in questions)
        self._wire.send(link, encode(questions), one_shot=one_shot)

    def _concerning(self) -> list[Service]:
        services = [service for service in self._knowledge.present() if self._search.concerns(service)]
        if len(services) > _MOST:
            services = in_turn(services, lambda service: service.sender, self._search.is_known)
        return services

    def _missing(self, services: list[Service]) -> dict[Link, list[Question]]:
        missing: dict[Link, list[Question]] = {}
        lacking = ((service, questions) for service in services if (questions := self._knowledge.missing(service)))
        for service, questions in islice(lacking, _MOST):
            missing.setdefault(service.link, []).extend(questions)
        return missing

    def _by_name(self, link: Link) -> list[Question]:
        return [
            Question(f"{instance}.{kind}", record)
            for instance in self._search.by_name
            for kind in self._knowledge.kinds
            if (link.index, f"{instance}.{kind}".lower()) not in self._knowledge.services
            for record in (SRV, TXT)
        ]

    @staticmethod
    def _known_answers(link: Link, services: list[Service]) -> list[KnownAnswer]:
        known = (service for service in services if service.link == link)
        return [KnownAnswer(service.kind, service.name, _POINTER_TTL) for service in islice(known, _MOST)]

    def _is_over(self, now: float) -> bool:
        dropped, self._dropped = self._dropped, self._wire.dropped
        services = self._concerning()
        # Nothing at all may be because all boards told somebody else a moment ago.
        quiet = self._search.quiet * (1 if services else 2)
        since = now - self._last_news
        if since < min(quiet, _PAUSE) or dropped != self._dropped:
            return False
        is_as_ever = all(map(self._search.is_known, services)) and self._search.is_as_ever()
        if since < quiet and not is_as_ever:
            return False
        lost = _share_lost(service.asked for service in services)
        missing = self._missing(services) if services else {}
        # A board that is as ever has an address, and another one is not used where the first family has one.
        spare = {RECORD_OF[version] for version in self._knowledge.versions[1:]} if is_as_ever else set()
        missed = sum(
            lost ** self._chances(link, question)
            for link, questions in missing.items()
            for question in dict.fromkeys(questions)
            if question.kind not in spare
        )
        if self._search.is_enough is None:
            others = _NEW if is_as_ever else len(services)
            missed += others * lost**self._asked
            if self._knowledge.is_any_half_heard(services):
                missed += _GROUP_ONLY * others * lost ** ceil(self._asked / _GROUP_TURN)
        return missed < _RARE and (self._search.is_enough is None or self._search.is_enough())

    def _chances(self, link: Link, question: Question) -> float:
        """How often ``question`` could have been answered.

        Who told something and was not heard will not tell it to the group for a second, so only every other question
        counts; unless nobody on the link tells such a record, and what lacks is a family of addresses.
        """
        times = self._times[link.index, question]
        return times / 2 if self._knowledge.has_any(link, question.kind) else times


def _pause(passed: float) -> float:
    return _PAUSE if passed < _EARLY else min(_PAUSE * passed / _EARLY, _LONGEST_PAUSE)


def _share_lost(asked: Iterable[int]) -> float:
    """The share of questions that stay without an answer, from how many each service took until it was heard.

    The mean of the posterior of a geometric distribution: of few services, or none, little is known, so the share is
    taken for larger (Laplace's rule of succession). Questions that nobody answered tell nothing of losses: all have
    told somebody else a moment ago.
    """
    counts = list(asked)
    before = min(counts, default=1) - 1
    unanswered = sum(counts) - len(counts) * (before + 1)
    return (unanswered + 1) / (unanswered + len(counts) + 2)
