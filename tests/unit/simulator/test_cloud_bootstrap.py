# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's bootstrap and LwM2M servers, over real mutual TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiocoap import ACK, CON, DELETE, EMPTY, NON, POST, PUT, RST, Message
from api_calls import Call
from cloud import Cloud, tlv
from cloud.issuing import Authority, Identity, issue_developer
from cloud.records import TrustedCertificate
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key
from hypothesis import given
from hypothesis import strategies as st
from lwm2m_device import Bootstrapped, Devices, RefusedError, Session, entries
from OpenSSL import SSL
from test_cloud_api import entry_of

LWM2M = "lwm2m.lab.pelion.test"


@pytest.fixture
def certificate(cloud: Cloud) -> TrustedCertificate:
    """The entry of a new developer certificate."""
    return cloud.state.certificates[cloud.state.seed_certificates(1)[0]]


@pytest.fixture
def devices(cloud: Cloud, tmp_path: Path) -> Devices:
    return Devices(cloud, tmp_path)


def id_of(held: Bootstrapped) -> str:
    """The device's id, from its certificate."""
    subject = x509.load_der_x509_certificate(held.resources[3]).subject
    return subject.get_attributes_for_oid(x509.NameOID.LOCALITY_NAME)[0].value


def attempts(cloud: Cloud) -> list[tuple[str | None, str | None]]:
    return [(attempt.request, attempt.error) for attempt in cloud.devices.attempts]


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# --- who may


def test_bootstrap_then_register(cloud: Cloud, call: Call, devices: Devices, certificate: TrustedCertificate) -> None:
    held = devices.bootstrap(certificate)
    id_ = id_of(held)
    device = entry_of(call, "/v3/devices/", id_)
    assert {
        "state": "bootstrapped",
        "ca_id": certificate.id,
        "device_execution_mode": 1,
        "account_id": cloud.account_id,
        "endpoint_name": id_,
        "bootstrap_expiration_date": f"{certificate.not_after:%Y-%m-%d}",
    }.items() <= device.items()
    assert device["bootstrapped_timestamp"] >= device["created_at"]

    assert devices.register(held) == ("rd", cloud.account_id, id_)
    device = entry_of(call, "/v3/devices/", id_)
    assert (device["state"], device["endpoint_type"]) == ("registered", "default")
    assert [(a.request, a.device_id, a.error) for a in cloud.devices.attempts] == [
        ("bootstrap", id_, None),
        ("register", id_, None),
    ]


def test_what_a_device_is_given(cloud: Cloud, devices: Devices, certificate: TrustedCertificate) -> None:
    held = devices.bootstrap(certificate)
    uri, is_bootstrap, mode, der, ca, key, short_id = (held.resources.pop(id_) for id_ in (0, 1, 2, 3, 4, 5, 10))
    assert held.resources == {}
    assert uri.decode() == f"coaps://{LWM2M}:{cloud.lwm2m_port}?aid={cloud.account_id}"
    assert (is_bootstrap, mode, short_id) == (b"\0", b"\2", b"\1")
    assert ca == cloud.state.lwm2m_ca.certificate
    issued = x509.load_der_x509_certificate(der)
    assert issued.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == certificate.endpoint_name
    issued.verify_directly_issued_by(x509.load_der_x509_certificate(ca))
    assert key[:5] == bytes.fromhex("3077020101")  # SEC1, not PKCS#8
    assert load_der_private_key(key, None).public_key() == issued.public_key()


def test_the_order_of_a_bootstrap(devices: Devices, certificate: TrustedCertificate) -> None:
    devices.bootstrap(certificate)
    first, *blocks, last = devices.seen
    assert (first.code, first.opt.uri_path) == (DELETE, ("0", "0"))
    assert {(block.code, block.opt.uri_path, int(block.opt.content_format)) for block in blocks} == {
        (PUT, ("0",), 11542)
    }
    # Arm's client takes blocks with different tokens for different requests.
    assert len({block.token for block in blocks}) == 1 < len(blocks)
    assert [len(block.payload) for block in blocks[:-1]] == [512] * (len(blocks) - 1)
    assert [block.opt.block1.block_number for block in blocks] == list(range(len(blocks)))
    assert (last.code, last.opt.uri_path) == (POST, ("bs",))


def test_a_known_device_keeps_its_id(call: Call, devices: Devices, certificate: TrustedCertificate) -> None:
    id_ = id_of(devices.bootstrap(certificate))
    before = entry_of(call, "/v3/devices/", id_)
    assert id_of(devices.bootstrap(certificate, iep=id_)) == id_
    assert entry_of(call, "/v3/devices/", id_)["created_at"] == before["created_at"]
    assert id_of(devices.bootstrap(certificate)) != id_


def test_another_certificate_takes_the_device_over(
    cloud: Cloud, call: Call, devices: Devices, certificate: TrustedCertificate
) -> None:
    id_ = id_of(devices.bootstrap(certificate))
    other = cloud.state.certificates[cloud.state.seed_certificates(1, "other-")[0]]
    held = devices.bootstrap(other, iep=id_)
    assert id_of(held) == id_
    assert entry_of(call, "/v3/devices/", id_)["ca_id"] == other.id


def test_a_deleted_entry_ends_registration(call: Call, devices: Devices, certificate: TrustedCertificate) -> None:
    held = devices.bootstrap(certificate)
    devices.register(held)
    assert call("DELETE", f"/v3/devices/{id_of(held)}/").status_code == 204
    with pytest.raises(RefusedError) as refused:
        devices.register(held)
    assert refused.value == RefusedError("4.03", "the device is not in the directory")
    assert id_of(devices.bootstrap(certificate, iep=id_of(held))) != id_of(held)


def test_a_registered_device_needs_its_developer_certificate_no_more(
    call: Call, devices: Devices, certificate: TrustedCertificate
) -> None:
    held = devices.bootstrap(certificate)
    call("DELETE", f"/v3/trusted-certificates/{certificate.id}")
    assert devices.register(held)[-1] == id_of(held)


@pytest.mark.parametrize("code", ["4.03", "4.00"])
def test_the_hundred_and_first_device_is_refused(
    cloud: Cloud, devices: Devices, certificate: TrustedCertificate, code: str
) -> None:
    cloud.state.set_answer_when_full(code)
    cloud.state.seed_devices(99, certificate.id)
    hundredth = id_of(devices.bootstrap(certificate))
    with pytest.raises(RefusedError, match="100 devices") as refused:
        devices.bootstrap(certificate)
    assert refused.value.code == code
    assert id_of(devices.bootstrap(certificate, iep=hundredth)) == hundredth
    assert len(cloud.state.devices) == 100
    cloud.state.delete_device(cloud.account_id, hundredth)
    devices.bootstrap(certificate)


def test_refusals(cloud: Cloud, call: Call, devices: Devices, certificate: TrustedCertificate) -> None:
    def refusal(*arguments: Any, **changes: str | None) -> tuple[str, str]:
        with pytest.raises(RefusedError) as refused:
            devices.bootstrap(certificate, *arguments, **changes)
        return refused.value.code, refused.value.reason

    stranger = issue_developer(certificate.account_id, certificate.endpoint_name)
    assert refusal(stranger) == ("4.03", "the certificate is not known to any account")
    assert refusal(ep="x") == refusal(ep=None) == ("4.00", "the endpoint name is not the certificate's")
    assert refusal(aid="x") == ("4.00", "the account of the URI is not the certificate's")
    call("PUT", f"/v3/trusted-certificates/{certificate.id}", json={"status": "INACTIVE"})
    assert refusal() == ("4.03", f"the developer certificate {certificate.id} is inactive")
    call("PUT", f"/v3/trusted-certificates/{certificate.id}", json={"status": "ACTIVE"})
    cloud.state.reissue_certificate(certificate.id)
    assert refusal() == ("4.03", f"the developer certificate {certificate.id} has expired")
    call("DELETE", f"/v3/trusted-certificates/{certificate.id}")
    assert refusal() == ("4.03", "the certificate is not known to any account")
    assert cloud.state.devices == {}
    assert len(cloud.devices.attempts) == 7
    assert all(attempt.error for attempt in cloud.devices.attempts)


def test_the_wrong_kind_of_certificate_is_refused(
    cloud: Cloud, devices: Devices, certificate: TrustedCertificate
) -> None:
    held = devices.bootstrap(certificate)
    developer = Identity(certificate.der, certificate.private_key)
    forged = Authority("Lab LwM2M root CA").issue_device(certificate.endpoint_name, id_of(held))
    for identity in (developer, forged):
        with (
            devices.connect(cloud.lwm2m_port, identity, cloud.state.lwm2m_ca.certificate) as session,
            pytest.raises(RefusedError, match="none of the LwM2M server's"),
        ):
            devices.register(held, session)
    with pytest.raises(RefusedError, match="not known"):
        devices.bootstrap(certificate, held.identity)
    assert cloud.state.devices[id_of(held)].state == "bootstrapped"


def test_without_a_certificate_there_is_no_answer(cloud: Cloud, devices: Devices) -> None:
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        devices.connect(cloud.bootstrap_port, None, cloud.state.bootstrap_ca.certificate) as session,
    ):
        session.ask(Message(code=POST, uri_path=["bs"]))
    eventually(lambda: cloud.devices.attempts)
    assert cloud.devices.attempts[-1].error.startswith("connection:")
    assert cloud.devices.attempts[-1].request is None


def test_each_server_proves_itself_to_its_own_ca(
    cloud: Cloud, devices: Devices, certificate: TrustedCertificate
) -> None:
    developer = Identity(certificate.der, certificate.private_key)
    state = cloud.state
    for port, ca in (
        (cloud.bootstrap_port, state.lwm2m_ca.certificate),
        (cloud.lwm2m_port, state.bootstrap_ca.certificate),
    ):
        with pytest.raises(ssl.SSLCertVerificationError), devices.connect(port, developer, ca):
            pass


# --- registrations


def test_a_device_updates_and_ends_its_registration(
    cloud: Cloud, call: Call, devices: Devices, certificate: TrustedCertificate
) -> None:
    held = devices.bootstrap(certificate)
    with devices.lwm2m(held) as session:
        location = devices.register(held, session)
        assert session.ask(Message(code=POST, uri_path=location)).code.dotted == "2.04"
        assert entry_of(call, "/v3/devices/", id_of(held))["state"] == "registered"
        assert session.ask(Message(code=DELETE, uri_path=location)).code.dotted == "2.02"
        assert entry_of(call, "/v3/devices/", id_of(held))["state"] == "deregistered"
        with pytest.raises(RefusedError, match="no such registration") as refused:
            session.ask(Message(code=POST, uri_path=location))
        assert refused.value.code == "4.04"
        devices.register(held, session)
    assert [request for request, _error in attempts(cloud)] == [
        *("bootstrap", "register", "update", "deregister", "update", "register")
    ]


def test_a_registration_outlives_its_connection(
    cloud: Cloud, call: Call, devices: Devices, certificate: TrustedCertificate
) -> None:
    held = devices.bootstrap(certificate)
    location = devices.register(held)
    with devices.lwm2m(held) as session:
        assert session.ask(Message(code=POST, uri_path=location)).code.dotted == "2.04"
    assert entry_of(call, "/v3/devices/", id_of(held))["state"] == "registered"


def test_a_registration_ends_with_its_lifetime(call: Call, devices: Devices, certificate: TrustedCertificate) -> None:
    held = devices.bootstrap(certificate)
    with devices.lwm2m(held) as session:
        location = devices.register(held, session, lifetime=1)
        eventually(lambda: entry_of(call, "/v3/devices/", id_of(held))["state"] == "deregistered")
        with pytest.raises(RefusedError, match="no such registration"):
            session.ask(Message(code=POST, uri_path=location))
        # An update may name another lifetime.
        devices.register(held, session, lifetime=1)
        session.ask(Message(code=POST, uri_path=location, uri_query=["lt=600"]))
        time.sleep(1.1)
        assert entry_of(call, "/v3/devices/", id_of(held))["state"] == "registered"


# --- on the wire


def test_a_ping_is_answered(devices: Devices, certificate: TrustedCertificate) -> None:
    held = devices.bootstrap(certificate)
    with devices.lwm2m(held) as session:
        session.send(Message(code=EMPTY), CON, 77)
        pong = session.receive()
        assert (pong.mtype, pong.mid, pong.code) == (RST, 77, EMPTY)
        devices.register(held, session)


@pytest.mark.parametrize("record", [b"{", b"\x40", b"\xff" * 9, b"\x40\x02\0\1\xe0"], ids=repr)
def test_what_is_no_message_ends_the_connection(
    cloud: Cloud, devices: Devices, certificate: TrustedCertificate, record: bytes
) -> None:
    developer = Identity(certificate.der, certificate.private_key)
    with devices.connect(cloud.bootstrap_port, developer, cloud.state.bootstrap_ca.certificate) as session:
        session.connection.sendall(record)
        with pytest.raises((ssl.SSLError, OSError)):
            session.connection.recv(1)
    assert cloud.state.devices == {}


def test_blocks_come_in_order(devices: Devices, certificate: TrustedCertificate) -> None:
    held = devices.bootstrap(certificate)
    with devices.lwm2m(held) as session:
        late = Message(code=POST, uri_path=["rd"], payload=b"x" * 512, block1=(1, False, 5))
        session.send(late)
        with pytest.raises((ssl.SSLError, OSError)):
            session.connection.recv(1)


def test_a_device_may_answer_on_its_own(
    cloud: Cloud, devices: Devices, certificate: TrustedCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only with the acknowledgement, and with messages that need none of it."""

    def separate(session: Session, request: Message, code: int = EMPTY) -> None:
        session.send(Message(code=EMPTY), ACK, request.mid)
        if code:
            response = Message(code=code, block1=request.opt.block1)
            response.token = request.token
            session.send(response, NON)

    monkeypatch.setattr(Session, "acknowledge", separate)
    assert id_of(devices.bootstrap(certificate)) in cloud.state.devices


@given(st.integers(0, 0xFFFF), st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=70_000), max_size=4))
def test_tlv(number: int, resources: dict[int, bytes]) -> None:
    ((kind, id_, content),) = entries(tlv.object_instance(number, resources))
    assert (kind, id_) == (0, number)
    assert list(entries(content)) == [(3, id_, value) for id_, value in resources.items()]


@given(st.integers(-(2**63), 2**63 - 1), st.text())
def test_tlv_of_numbers_and_texts(integer: int, text: str) -> None:
    ((_kind, _id, content),) = entries(tlv.object_instance(0, {1: integer, 2: text}))
    first, second = (value for _kind, _number, value in entries(content))
    assert len(first) in (1, 2, 4, 8)
    assert int.from_bytes(first, "big", signed=True) == integer
    assert second.decode() == text


# --- TLS, as Arm's client wants it


def test_the_server_says_the_time_and_negotiates_anew(cloud: Cloud, certificate: TrustedCertificate) -> None:
    """Arm's client has no other clock: it takes the first bytes of the second ServerHello."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0")
    context.use_certificate(x509.load_der_x509_certificate(certificate.der))
    context.use_privatekey(load_der_private_key(certificate.private_key, None))
    plain = socket.create_connection(("127.0.0.1", cloud.bootstrap_port), timeout=15)
    plain.settimeout(None)
    connection = SSL.Connection(context, plain)
    connection.set_connect_state()
    before = int(time.time())
    connection.do_handshake()
    assert connection.get_cipher_name() == "ECDHE-ECDSA-AES128-CCM8"
    (said,) = struct.unpack(">I", connection.server_random()[:4])
    assert before - 1 <= said <= time.time() + 1  # whole seconds, of a clock that may lag a little
    first = connection.server_random()
    assert connection.renegotiate()
    connection.do_handshake()
    ping = Message(code=EMPTY)
    ping.mtype, ping.mid = CON, 5
    connection.sendall(ping.encode())
    assert Message.decode(connection.recv(100)).mtype is RST
    assert connection.server_random() != first
    plain.close()


# --- faults


def test_faults_on_demand(cloud: Cloud, devices: Devices, certificate: TrustedCertificate) -> None:
    faults = cloud.devices.faults
    faults.add("refuse", method="bootstrap", times=1, reason="not now")
    faults.add("refuse", method="register", times=1, reason="never", code="4.00")
    faults.add("cut", method="register", times=1)
    with pytest.raises(RefusedError) as refused:
        devices.bootstrap(certificate)
    assert refused.value == RefusedError("4.03", "not now")
    held = devices.bootstrap(certificate)
    with pytest.raises(RefusedError) as refused:
        devices.register(held)
    assert refused.value == RefusedError("4.00", "never")
    with pytest.raises((OSError, AssertionError)):
        devices.register(held)
    devices.register(held)
    assert attempts(cloud) == [
        ("bootstrap", "not now"),
        ("bootstrap", None),
        ("register", "never"),
        ("register", "connection: cut on demand"),
        ("register", None),
    ]


def test_a_certificate_is_refused_in_tls_on_demand(
    cloud: Cloud, devices: Devices, certificate: TrustedCertificate
) -> None:
    cloud.devices.faults.add("refuse", method="handshake", times=1, reason="not trusted")
    with pytest.raises((ssl.SSLError, OSError)):
        devices.bootstrap(certificate)
    devices.bootstrap(certificate)
    assert [request for request, _error in attempts(cloud)] == [None, "bootstrap"]
    assert "certificate verify failed" in cloud.devices.attempts[0].error


def test_connections_are_dropped_on_demand(
    cloud: Cloud, call: Call, devices: Devices, certificate: TrustedCertificate
) -> None:
    held = devices.bootstrap(certificate)
    with devices.lwm2m(held) as session:
        devices.register(held, session)
        cloud.devices.drop()
        with pytest.raises((ssl.SSLError, OSError)):
            session.connection.recv(1)
    assert entry_of(call, "/v3/devices/", id_of(held))["state"] == "registered"
    devices.register(held)
