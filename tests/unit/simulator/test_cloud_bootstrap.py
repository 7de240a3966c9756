# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated bootstrap and LwM2M servers, over real mutual TLS."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cloud import Cloud
from cloud.issuing import Authority, Identity, issue_developer, pem

BOOTSTRAP, LWM2M = "bootstrap.lab.pelion.test", "lwm2m.lab.pelion.test"


@pytest.fixture
def certificate(cloud):
    """The entry of a new developer certificate."""
    return cloud.state.certificates[cloud.state.seed_certificates(1)[0]]


class Devices:
    """Devices in front of ``cloud``."""

    def __init__(self, cloud: Cloud, directory) -> None:
        self.cloud = cloud
        self.directory = directory

    def ask(
        self,
        host: str,
        message: Any,
        identity: Identity | None,
        *,
        ca: bytes | None = None,
        port_name: str | None = None,
    ) -> dict[str, Any]:
        """Send one line to ``host``, trusting ``ca`` (the bootstrap CA if not told); the answered line."""
        context = ssl.create_default_context(cadata=ca or self.cloud.state.bootstrap_ca.certificate)
        if identity:
            file = self.directory / "device.pem"
            file.write_text(pem("CERTIFICATE", identity.certificate) + pem("PRIVATE KEY", identity.private_key))
            context.load_cert_chain(file)
        with (
            socket.create_connection(("127.0.0.1", self.cloud.bootstrap_port), timeout=15) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            connection.sendall((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")
            return json.loads(connection.makefile("rb").readline() or b"null")

    def bootstrap(self, certificate, identity: Identity | None = None, **changes: str) -> dict[str, Any]:
        """Bootstrap with the developer certificate ``certificate``, an entry of the state."""
        message = {
            "request": "bootstrap",
            "iep": "",
            "endpoint_name": certificate.endpoint_name,
            "aid": certificate.account_id,
            "serial_number": "0",
            "manufacturer": "dev_manufacturer",
            "model_number": "dev_model_num",
            "device_type": "dev_device_type",
            "hardware_version": "dev_hardware_version",
            "vendor_id": "fa6b4a53d5ad5fdfbe9de663e4d41ffe",
            "class_id": "dddd16dc89ba57bf821bdb7f8a06c389",
        }
        identity = identity or Identity(certificate.der, certificate.private_key)
        return self.ask(BOOTSTRAP, {**message, **changes}, identity)

    def register(self, answer: dict[str, str]) -> dict[str, Any]:
        """Register with what ``bootstrap`` answered."""
        identity = Identity(
            base64.b64decode(answer["lwm2m_certificate"]), base64.b64decode(answer["lwm2m_private_key"])
        )
        return self.ask(LWM2M, {"request": "register"}, identity, ca=base64.b64decode(answer["lwm2m_ca"]))


@pytest.fixture
def devices(cloud, tmp_path) -> Devices:
    return Devices(cloud, tmp_path)


def entry(call, id_: str) -> dict[str, Any]:
    answer = call("GET", f"/v3/devices/{id_}/")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_bootstrap_then_register(cloud, call, devices, certificate):
    answer = devices.bootstrap(certificate)
    assert answer["lwm2m_uri"] == f"coaps://{LWM2M}:{cloud.bootstrap_port}?aid={cloud.account_id}"
    id_ = answer["device_id"]
    device = entry(call, id_)
    assert {
        "state": "bootstrapped",
        "ca_id": certificate.id,
        "device_execution_mode": 1,
        "account_id": cloud.account_id,
        "endpoint_name": id_,
        "vendor_id": "fa6b4a53d5ad5fdfbe9de663e4d41ffe",
        "device_class": "dddd16dc89ba57bf821bdb7f8a06c389",
        "serial_number": "0",
        "bootstrap_expiration_date": f"{certificate.not_after:%Y-%m-%d}",
    }.items() <= device.items()
    assert device["bootstrapped_timestamp"] >= device["created_at"]

    assert devices.register(answer) == {"device_id": id_}
    assert entry(call, id_)["state"] == "registered"
    assert [(a.request, a.device_id, a.error) for a in cloud.attempts] == [
        ("bootstrap", id_, None),
        ("register", id_, None),
    ]


def test_a_known_device_keeps_its_id(call, devices, certificate):
    id_ = devices.bootstrap(certificate)["device_id"]
    before = entry(call, id_)
    assert devices.bootstrap(certificate, iep=id_)["device_id"] == id_
    assert entry(call, id_)["created_at"] == before["created_at"]
    assert devices.bootstrap(certificate)["device_id"] != id_


def test_another_certificate_takes_the_device_over(cloud, call, devices, certificate):
    id_ = devices.bootstrap(certificate)["device_id"]
    other = cloud.state.certificates[cloud.state.seed_certificates(1, "other-")[0]]
    assert devices.bootstrap(other, iep=id_)["device_id"] == id_
    assert entry(call, id_)["ca_id"] == other.id


def test_another_accounts_device_is_not_taken_over(cloud, devices, certificate):
    account, _unused = cloud.state.add_account()
    other = cloud.state.certificates[cloud.state.seed_certificates(1, account_id=account.id)[0]]
    id_ = devices.bootstrap(certificate)["device_id"]
    assert devices.bootstrap(other, iep=id_)["device_id"] != id_


def test_a_deleted_entry_ends_registration(cloud, call, devices, certificate):
    answer = devices.bootstrap(certificate)
    devices.register(answer)
    assert call("DELETE", f"/v3/devices/{answer['device_id']}/").status_code == 204
    assert devices.register(answer) == {"error": "the device is not in the directory"}
    again = devices.bootstrap(certificate, iep=answer["device_id"])
    assert again["device_id"] != answer["device_id"]


def test_a_registered_device_needs_its_developer_certificate_no_more(cloud, call, devices, certificate):
    answer = devices.bootstrap(certificate)
    call("DELETE", f"/v3/trusted-certificates/{certificate.id}")
    assert devices.register(answer) == {"device_id": answer["device_id"]}


def test_the_hundred_and_first_device_is_refused(cloud, devices, certificate):
    cloud.state.seed_devices(99, certificate.id)
    hundredth = devices.bootstrap(certificate)["device_id"]
    assert "100 devices" in devices.bootstrap(certificate)["error"]
    assert devices.bootstrap(certificate, iep=hundredth)["device_id"] == hundredth
    assert len(cloud.state.devices) == 100
    cloud.state.delete_device(cloud.account_id, hundredth)
    assert "device_id" in devices.bootstrap(certificate)


def test_refusals(cloud, call, devices, certificate):
    stranger = issue_developer(certificate.account_id, certificate.endpoint_name)
    assert "not known" in devices.bootstrap(certificate, stranger)["error"]
    assert "endpoint name" in devices.bootstrap(certificate, endpoint_name="x")["error"]
    assert "account" in devices.bootstrap(certificate, aid="x")["error"]
    assert "no text" in devices.bootstrap(certificate, iep=5)["error"]
    call("PUT", f"/v3/trusted-certificates/{certificate.id}", json={"status": "INACTIVE"})
    assert "inactive" in devices.bootstrap(certificate)["error"]
    call("PUT", f"/v3/trusted-certificates/{certificate.id}", json={"status": "ACTIVE"})
    cloud.state.reissue_certificate(certificate.id)
    assert "expired" in devices.bootstrap(certificate)["error"]
    call("DELETE", f"/v3/trusted-certificates/{certificate.id}")
    assert "not known" in devices.bootstrap(certificate)["error"]
    assert cloud.state.devices == {}
    assert len(cloud.attempts) == 7
    assert all(attempt.error for attempt in cloud.attempts)


def test_the_wrong_kind_of_certificate_is_refused(cloud, devices, certificate):
    answer = devices.bootstrap(certificate)
    developer = Identity(certificate.der, certificate.private_key)
    lwm2m = Identity(base64.b64decode(answer["lwm2m_certificate"]), base64.b64decode(answer["lwm2m_private_key"]))
    assert "error" in devices.ask(BOOTSTRAP, {"request": "register"}, developer)
    assert "error" in devices.bootstrap(certificate, lwm2m)
    forged = Authority("Lab LwM2M root CA").issue_device(answer["device_id"])
    assert "error" in devices.ask(BOOTSTRAP, {"request": "register"}, forged)
    assert cloud.state.devices[answer["device_id"]].state == "bootstrapped"


def test_an_uploaded_ca_certificate_is_no_way_in(cloud, devices, certificate):
    identity = issue_developer(cloud.account_id, "f" * 32)
    key = cloud.state.authenticate(cloud.api_key)
    cloud.state.upload_certificate(key, "ca", None, "bootstrap", identity.certificate)
    assert "not known" in devices.bootstrap(certificate, identity)["error"]


def test_without_a_certificate_there_is_no_answer(cloud, devices):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        devices.ask(BOOTSTRAP, {"request": "register"}, None)
    assert "connection:" in cloud.attempts[-1].error
    assert cloud.attempts[-1].request is None


def test_each_server_proves_itself_to_its_own_ca(cloud, devices, certificate):
    developer = Identity(certificate.der, certificate.private_key)
    with pytest.raises(ssl.SSLCertVerificationError):
        devices.ask(BOOTSTRAP, {}, developer, ca=cloud.state.lwm2m_ca.certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        devices.ask(LWM2M, {}, developer, ca=cloud.state.bootstrap_ca.certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        devices.ask("other.lab.pelion.test", {}, developer)


@pytest.mark.parametrize(
    "message", [b"{", b"[]", b"\xff", {"request": "reboot"}, {}, {"request": 5}, b"x" * 70_000, b"[" * 60_000]
)
def test_nonsense_is_refused(devices, certificate, message):
    developer = Identity(certificate.der, certificate.private_key)
    assert set(devices.ask(BOOTSTRAP, message, developer)) == {"error"}


def test_fifty_devices_at_once(cloud, certificate, tmp_path):
    def one(number: int) -> str:
        (tmp_path / str(number)).mkdir()
        devices = Devices(cloud, tmp_path / str(number))
        return devices.register(devices.bootstrap(certificate))["device_id"]

    with ThreadPoolExecutor(50) as pool:
        ids = list(pool.map(one, range(50)))
    assert len(set(ids)) == 50
    assert {device.state for device in cloud.state.devices.values()} == {"registered"}


def test_faults_on_demand(cloud, devices, certificate):
    cloud.device_faults.add("refuse", method="bootstrap", times=1, reason="not now")
    cloud.device_faults.add("cut", method="register", times=1)
    assert devices.bootstrap(certificate) == {"error": "not now"}
    answer = devices.bootstrap(certificate)
    with pytest.raises((OSError, AttributeError, TypeError)):
        devices.register(answer)["device_id"]
    assert devices.register(answer) == {"device_id": answer["device_id"]}
    assert [attempt.error for attempt in cloud.attempts] == ["not now", None, "connection: cut on demand", None]
