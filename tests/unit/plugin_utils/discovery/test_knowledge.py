# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ipaddress import ip_interface

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mdns.frames import AAAA, PTR, SRV, TXT, A, Record, message, name
from mdns.frames import query as frame_query

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.knowledge import Knowledge
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.links import Link
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.packets import (
    KnownAnswer,
    Question,
    decode,
    encode,
    text_strings,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.search import _share_lost

# The machine may be busy.

LINK = Link("eth0", 2, (ip_interface("10.0.0.1/16"),))
KIND = "_ssh._tcp.local."
BOARD = f"mbed-linux-os-7.{KIND}"
HOST = "mbed-linux-os-7.local."
POINTER = Record(KIND, PTR, name(BOARD))
SERVER = Record(BOARD, SRV, bytes(4) + (22).to_bytes(2, "big") + name(HOST))
TEXT = Record(BOARD, TXT, b"\5mblos")
IPV4 = Record(HOST, A, bytes([10, 0, 0, 7]))
IPV6 = Record(HOST, AAAA, bytes.fromhex("fe80000000000000000000000000000 7".replace(" ", "")))


def hear(knowledge: Knowledge, *records: Record, sender: str = "10.0.0.7") -> bool:
    return knowledge.hear(LINK, sender, decode(message(list(records))))


@pytest.fixture
def knowledge() -> Knowledge:
    return Knowledge([KIND], (6, 4))


def test_what_is_missing_is_asked_for_in_steps(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER)
    (service,) = knowledge.present()
    assert knowledge.missing(service) == [Question(BOARD, TXT), Question(BOARD, SRV)]
    hear(knowledge, SERVER)
    assert knowledge.missing(service) == [Question(BOARD, TXT), Question(HOST, AAAA), Question(HOST, A)]
    hear(knowledge, TEXT, IPV4)
    assert knowledge.is_complete(service)
    assert knowledge.missing(service) == [Question(HOST, AAAA)]
    hear(knowledge, IPV6)
    assert knowledge.missing(service) == []


def test_the_order_and_the_packets_do_not_matter(knowledge: Knowledge) -> None:
    for record in (IPV6, TEXT, IPV4, SERVER, POINTER):
        hear(knowledge, record)
    (service,) = knowledge.present()
    assert knowledge.missing(service) == []
    assert service.server == (HOST, 22)


def test_the_case_of_letters_does_not_matter(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER, Record(BOARD.upper(), TXT, b"\5mblos"))
    assert len(list(knowledge.present())) == 1


def test_links_are_kept_apart(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER, SERVER)
    other = Link("eth1", 3, ())
    knowledge.hear(other, "10.1.0.7", decode(message([POINTER, IPV4])))
    assert [service.link for service in knowledge.present()] == [LINK, other]
    assert not any(knowledge.is_complete(service) for service in knowledge.present())


def test_a_goodbye_counts_until_it_comes_back(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER, SERVER)
    hear(knowledge, Record(KIND, PTR, name(BOARD), ttl=0))
    assert list(knowledge.present()) == []
    assert hear(knowledge, POINTER)
    assert len(list(knowledge.present())) == 1


def test_an_address_is_taken_back(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER, SERVER, TEXT, IPV4)
    hear(knowledge, Record(HOST, A, IPV4.data, ttl=0))
    (service,) = knowledge.present()
    assert not knowledge.is_complete(service)


def test_who_tells_something_else_than_before_has_changed_it(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER, SERVER)
    hear(knowledge, Record(BOARD, SRV, bytes(4) + (23).to_bytes(2, "big") + name(HOST)))
    (service,) = knowledge.present()
    assert list(service.servers) == [(HOST, 23)]


def test_what_two_tell_differently_is_kept_in_the_order_heard(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER, SERVER)
    hear(knowledge, Record(BOARD, SRV, bytes(4) + (23).to_bytes(2, "big") + name(HOST)), sender="10.0.6.6")
    (service,) = knowledge.present()
    assert list(service.servers) == [(HOST, 22), (HOST, 23)]
    assert service.server == (HOST, 22)


def test_addresses_that_have_nothing_in_common_are_a_conflict(knowledge: Knowledge) -> None:
    hear(knowledge, POINTER, SERVER, IPV4, IPV6)
    (service,) = knowledge.present()
    hear(knowledge, IPV6, sender="fe80::7")
    assert not knowledge.host(service).in_conflict
    hear(knowledge, Record(HOST, A, bytes([10, 0, 6, 6])), sender="10.0.6.6")
    assert knowledge.host(service).in_conflict


def test_other_services_are_none_of_ours(knowledge: Knowledge) -> None:
    hear(knowledge, Record("_http._tcp.local.", PTR, name("x._http._tcp.local.")))
    hear(knowledge, Record("_http._tcp.local.", PTR, name(BOARD)))
    assert list(knowledge.present()) == []


@pytest.mark.parametrize("flags", [0x0000, 0x8400 | 0x0800, 0x8400 | 0x0003])
def test_what_is_no_good_answer_is_ignored(flags: int) -> None:
    data = message([POINTER])
    assert decode(data)
    assert decode(data[:2] + flags.to_bytes(2, "big") + data[4:]) == []


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 255))
def test_any_bytes_can_be_heard(data: bytes, at: int, value: int) -> None:
    knowledge = Knowledge([KIND], (6, 4))
    good = bytearray(message([POINTER, SERVER, TEXT, IPV4, IPV6]))
    good[at % len(good)] = value
    for each in (data, bytes(good)):
        knowledge.hear(LINK, "10.0.0.7", decode(each))
    for service in knowledge.present():
        encode(knowledge.missing(service), [KnownAnswer(KIND, service.name, 1)])


@given(st.lists(st.text(min_size=1, max_size=80), max_size=60))
@example(["a." * 200])
@example(["x" * 64])
@example(["x" * 63] * 4)
def test_any_name_can_be_asked_for_or_is_left_out(names: list[str]) -> None:
    packets = encode([Question(f"{each}.{KIND}", SRV) for each in names])
    assert all(len(packet) <= 1472 for packet in packets)


def test_many_known_answers_make_several_packets_marked_as_such() -> None:
    known = [KnownAnswer(KIND, f"mbed-linux-os-{n}.{KIND}", 4500) for n in range(200)]
    packets = encode([Question(KIND, PTR)], known)
    queries = [frame_query(_in_a_frame(packet)) for packet in packets]
    assert [query.truncated for query in queries] == [True] * (len(queries) - 1) + [False]
    assert [len(query.questions) for query in queries] == [1] + [0] * (len(queries) - 1)
    assert frozenset().union(*(query.known for query in queries)) == {answer.target for answer in known}


def _in_a_frame(packet: bytes) -> bytes:
    from mdns.frames import frame

    return frame(packet, bytes(6), "10.0.0.1")


@pytest.mark.parametrize(
    ("text", "strings"),
    [
        (b"", {}),
        (b"\0", {}),
        (b"\5mblos", {"mblos": None}),
        (b"\7mblos=1", {"mblos": "1"}),
        (b"\3a=b\3A=c\2=x\2b=", {"a": "b", "b": ""}),
        (b"\xffshort", {"short": None}),
    ],
)
def test_text_records(text: str, strings: list[bytes]) -> None:
    assert text_strings(text) == strings


@given(st.binary(max_size=300))
def test_any_text_record_can_be_read(text: str) -> None:
    assert all(key and "=" not in key for key in text_strings(text))


def test_the_share_of_lost_questions() -> None:
    assert _share_lost([1] * 50) < 0.02
    assert 0.3 < _share_lost([1, 2] * 50) < 0.35
    # Of one board little is known.
    assert _share_lost([1]) > 0.3
    assert _share_lost([]) == 0.5


def test_a_flood_does_not_fill_the_memory() -> None:
    knowledge = Knowledge([KIND], (6, 4), 20, lambda service: service.instance == "known")
    hear(knowledge, Record(KIND, PTR, name(f"known.{KIND}")), sender="10.0.66.66")
    hear(knowledge, POINTER, SERVER, TEXT, IPV4)
    for number in range(200):
        one, other = f"flood-{number}.{KIND}", f"flood-{number}.local."
        there = [Record(KIND, PTR, name(one)), Record(one, SRV, bytes(6) + name(other))]
        hear(knowledge, *there, Record(other, A, bytes(4)), sender="10.0.66.66")
        hear(knowledge, Record(f"host-{number}.local.", A, bytes(4)), sender="10.0.66.66")
        hear(knowledge, Record(HOST, A, bytes([10, 1, 0, number])), sender="10.0.66.66")
        hear(knowledge, Record(HOST, AAAA, IPV6.data), sender=f"10.0.67.{number}")
        hear(knowledge, Record(BOARD, TXT, b"\x05" + b"%05d" % number), sender=f"10.0.68.{number}")
        assert max(len(knowledge.services), len(knowledge._hosts)) <= 20
    services = {service.instance: service for service in knowledge.present()}
    assert {"known", "mbed-linux-os-7"} <= services.keys()
    board = services["mbed-linux-os-7"]
    assert knowledge.is_complete(board)
    assert len(knowledge.host(board).addresses) <= 64
    assert max(len(senders) for senders in knowledge.host(board).addresses.values()) <= 64
    assert len(board.texts) <= 64
    assert board.text == b"\5mblos"
