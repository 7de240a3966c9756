# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Multicast DNS questions to bytes, and answers from bytes; python-zeroconf does the encoding."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..libraries import Absent, is_installed

if TYPE_CHECKING or is_installed("zeroconf"):
    from zeroconf import (
        DNSIncoming,
        DNSOutgoing,
        DNSPointer,
        DNSQuestion,
        DNSRecord,
    )
else:
    DNSIncoming = DNSOutgoing = DNSPointer = DNSQuestion = DNSRecord = Absent()

A, PTR, TXT, AAAA, SRV, ANY = 1, 12, 16, 28, 33, 255
"""Types of records (RFC 1035, 3596, 2782), and the question for all of them."""

_IN = 1
_QUERY = 0
# Opcode and response code must be zero, else the message is to be ignored (RFC 6762 sections 18.3 and 18.11).
_OPCODE_AND_CODE = 0x780F


class Question(NamedTuple):
    """``name`` ends in a dot; ``kind`` is a type of record."""

    name: str
    kind: int


class KnownAnswer(NamedTuple):
    """A pointer that is known and need not be told again: from ``name`` to ``target``, for ``ttl`` seconds."""

    name: str
    target: str
    ttl: int


def encode(questions: Iterable[Question], known: Iterable[KnownAnswer] = ()) -> list[bytes]:
    """Datagrams that ask ``questions``, the ``known`` answers behind them (RFC 6762 section 7.1 and 7.2).

    A name that came from the network may be one that cannot be written; it is left out.
    """
    message = DNSOutgoing(_QUERY)
    for question in questions:
        if _can_be_written(question.name):
            message.add_question(DNSQuestion(question.name, question.kind, _IN))
    for answer in known:
        if _can_be_written(answer.target):
            message.add_answer_at_time(DNSPointer(answer.name, PTR, _IN, answer.ttl, answer.target), 0)
    return message.packets() if message.questions else []


def decode(data: bytes) -> list[DNSRecord]:
    """The records of a response; none of what is no response, or cannot be read."""
    message = DNSIncoming(data)
    if not message.valid or not message.is_response() or message.flags & _OPCODE_AND_CODE:
        return []
    return message.answers()


def probed_names(data: bytes) -> list[str]:
    """The names that the sender of a question is about to take, as who starts does (RFC 6762 section 8.1)."""
    message = DNSIncoming(data)
    if not message.valid or not message.is_query() or not message.num_authorities:
        return []
    return [question.name for question in message.questions if question.type == ANY]


def text_strings(text: bytes) -> dict[str, str | None]:
    """The keys and values of a TXT record; None for a key without a value (RFC 6763 section 6.4).

    Of a key that comes twice, in any case of letters, the first counts.
    """
    found: dict[str, str | None] = {}
    seen: set[str] = set()
    while text:
        length, text = text[0], text[1:]
        key, equals, value = text[:length].decode(errors="replace").partition("=")
        text = text[length:]
        if key and key.lower() not in seen:
            seen.add(key.lower())
            found[key] = value if equals else None
    return found


@lru_cache(maxsize=1 << 14)
def _can_be_written(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    return len(name.encode()) < 254 and all(0 < len(label.encode()) < 64 for label in labels)
