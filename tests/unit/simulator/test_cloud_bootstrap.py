# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's bootstrap and LwM2M servers, over real mutual TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiocoap import DELETE, POST, Message
from api_calls import Call
from cloud import Cloud
from cloud.issuing import Authority, Identity, issue_developer
from cloud.records import TrustedCertificate
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key
from lwm2m_device import Bootstrapped, Devices, RefusedError
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
