# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CoAP codec of the boards' cloud client (C), against aiocoap's."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
from aiocoap import Message
from hypothesis import given
from hypothesis import strategies as st

SOURCE = Path(__file__).parents[2] / "simulator/board/coap.c"
CONTENT_FORMAT, URI_QUERY, BLOCK1 = 12, 15, 27
LONGEST = 2048

segments = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
heads = st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 2, 3, 4, 65, 68, 95, 128, 131]), st.integers(0, 65535))
blocks = st.tuples(st.integers(0, 2**20 - 1), st.booleans(), st.integers(0, 6))


class Read(ctypes.Structure):
    """struct coap_message."""

    _fields_ = [
        ("type", ctypes.c_uint8),
        ("code", ctypes.c_uint8),
        ("id", ctypes.c_uint16),
        ("token", ctypes.c_uint8 * 8),
        ("token_size", ctypes.c_size_t),
        ("path", ctypes.c_char * 256),
        ("content_format", ctypes.c_int),
        ("in_blocks", ctypes.c_bool),
        ("block", ctypes.c_uint32),
        ("payload", ctypes.c_void_p),
        ("payload_size", ctypes.c_size_t),
    ]


class Draft(ctypes.Structure):
    """struct coap_draft."""

    _fields_ = [("data", ctypes.c_uint8 * LONGEST), ("size", ctypes.c_size_t), ("last_option", ctypes.c_uint)]


@pytest.fixture(scope="module")
def coap(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("coap") / "coap.so"
    subprocess.run(["gcc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.coap_read.restype = ctypes.c_bool
    return loaded


def read(coap: ctypes.CDLL, data: bytes) -> tuple[Read, bytes] | None:
    """The message in ``data`` and its payload, or None."""
    message = Read()
    # A copy of just that size, so that nothing that follows can be taken for a part.
    place = ctypes.create_string_buffer(data, len(data))
    if not coap.coap_read(place, ctypes.c_size_t(len(data)), ctypes.byref(message)):
        return None
    payload = ctypes.string_at(message.payload, message.payload_size) if message.payload else b""
    return message, payload


@given(heads, st.binary(max_size=8), st.lists(segments, max_size=4), blocks, st.integers(0, 65535), st.binary())
def test_what_aiocoap_writes_is_read(
    coap: ctypes.CDLL,
    head: tuple[int, int, int],
    token: bytes,
    path: list[str],
    block: tuple[int, bool, int],
    format_: int,
    payload: bytes,
) -> None:
    for paths in ({"uri_path": path}, {"location_path": path}):
        written = Message(code=head[1], payload=payload, block1=block, content_format=format_, **paths)
        written.mtype, written.mid, written.token = head[0], head[2], token
        message, got = read(coap, written.encode())
        assert (message.type, message.code, message.id) == head
        assert bytes(message.token)[: message.token_size] == token
        assert message.path == "/".join(path).encode()
        assert message.content_format == format_
        number, more, exponent = block
        assert (message.in_blocks, message.block) == (True, number << 4 | more << 3 | exponent)
        assert got == payload


@given(
    heads,
    st.binary(max_size=8),
    st.lists(segments, max_size=4),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=2),
    blocks,
    st.binary(max_size=256),
)
def test_what_is_written_is_read_by_aiocoap(
    coap: ctypes.CDLL,
    head: tuple[int, int, int],
    token: bytes,
    path: list[str],
    queries: list[str],
    block: tuple[int, bool, int],
    payload: bytes,
) -> None:
    draft = Draft()
    place = ctypes.byref(draft)
    coap.coap_begin(place, head[0], head[1], head[2], token, ctypes.c_size_t(len(token)))
    coap.coap_add_path(place, "/".join(path).encode())
    coap.coap_add_number(place, CONTENT_FORMAT, 11542)
    for query in queries:
        coap.coap_add(place, URI_QUERY, query.encode(), ctypes.c_size_t(len(query.encode())))
    number, more, exponent = block
    coap.coap_add_number(place, BLOCK1, number << 4 | more << 3 | exponent)
    coap.coap_add_payload(place, payload, ctypes.c_size_t(len(payload)))
    got = Message.decode(bytes(draft.data[: draft.size]))
    assert ((int(got.mtype), int(got.code), got.mid), got.token, got.payload) == (head, token, payload)
    assert got.opt.uri_path == tuple(path)
    assert int(got.opt.content_format) == 11542
    assert tuple(got.opt.block1) == block
    assert got.opt.uri_query == tuple(queries)


def test_what_does_not_fit_is_told(coap: ctypes.CDLL) -> None:
    draft = Draft()
    coap.coap_begin(ctypes.byref(draft), 0, 2, 1, b"", ctypes.c_size_t(0))
    for _unused in range(3):
        coap.coap_add_payload(ctypes.byref(draft), b"x" * 1000, ctypes.c_size_t(1000))
    assert draft.size > LONGEST


@given(st.binary(max_size=80))
def test_no_bytes_are_read_beyond_the_end(coap: ctypes.CDLL, data: bytes) -> None:
    found = read(coap, data)
    assert found is None or len(found[1]) <= len(data)


@pytest.mark.parametrize(
    "data", [b"", b"\x40\1\0", b"\x80\1\0\1", b"\x49\1\0\1" + b"t" * 9, b"\x44\1\0\1tok", b"\x40\1\0\1\xf0",
             b"\x40\1\0\1\xb2x", b"\x40\1\0\1\xb1\0", b"\x40\1\0\1\xbe\1"], ids=repr,
)  # fmt: skip
def test_what_is_no_message(coap: ctypes.CDLL, data: bytes) -> None:
    assert read(coap, data) is None
