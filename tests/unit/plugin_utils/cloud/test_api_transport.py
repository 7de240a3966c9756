# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from cloud import Cloud
from cloud_access import calls

from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud import api_transport
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_host import api_url
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_transport import ApiTransport
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.errors import ApiError
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError

ME = "/v3/accounts/me"
CREATE = "/v3/developer-certificates"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without making them."""
    made: list[float] = []
    monkeypatch.setattr(urllib3.util.retry, "time", SimpleNamespace(sleep=made.append, time=time.time))
    return made


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def transport(cloud: Cloud, host: str | None = None, **options: Any) -> ApiTransport:
    options = {"ca_path": str(cloud.ca_path), **options}
    return ApiTransport(host or cloud.https_url, cloud.api_key, **options)


def failure(client: ApiTransport, method: str = "GET", path: str = ME, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        client.call(method, path, **options)
    assert client._key not in str(caught.value) + repr(caught.value) + json.dumps(caught.value.facts)
    return caught.value


# --- hosts and keys


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("https://api.us-east-1.mbedcloud.com", "https://api.us-east-1.mbedcloud.com"),
        ("api.example.com", "https://api.example.com"),
        (" https://API.example.com:8443/ ", "https://api.example.com:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("https://[2001:db8::1]:4443", "https://[2001:db8::1]:4443"),
    ],
)
def test_hosts_that_are_taken(host: str, url: str) -> None:
    assert api_url(host) == url


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("http://api.example.com", "unprotected"),
        ("http://127.0.0.1.example.com", "unprotected"),
        ("http://localhost.example.com", "unprotected"),
        ("ftp://localhost", "unprotected"),
        ("https://", "api_host must be"),
        ("", "api_host must be"),
        ("https://example.com/v3", "api_host must be"),
        ("https://example.com?x=1", "api_host must be"),
        ("https://user:secret@example.com", "api_host must be"),
        ("https://example.com:99999", "api_host must be"),
        ("https://[::1", "api_host must be"),
        ("https://exam ple.com", "api_host must be"),
    ],
)
def test_hosts_that_are_refused(host: str, why: str) -> None:
    with pytest.raises(PelionError, match=why):
        api_url(host)


@pytest.mark.parametrize("key", ["", "ak_1\nx", "ak 1", "ak_1\r", "äk_1", "ak_1\x00"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(PelionError, match="API key") as caught:
        ApiTransport("localhost", key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"retries": -1}, {"retries": 21}, {"ca_path": "/no/such/file"}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(PelionError, match=r"api_timeout|ca_path"):
        ApiTransport("localhost", "ak_1", **options)


def test_the_key_is_in_no_repr(cloud: Cloud) -> None:
    assert cloud.api_key not in repr(transport(cloud))


def test_netrc_does_not_take_the_keys_place(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine localhost login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert transport(cloud).call("GET", ME)["id"] == cloud.account_id


def test_a_task_is_one_connection(cloud: Cloud) -> None:
    client = transport(cloud)
    for _call in range(3):
        client.call("GET", ME)
    client.call("POST", CREATE, body={"name": "bench"})
    calls(cloud)
    assert len({call.connection for call in cloud.log.calls}) == 1


# --- trust


def test_ca_path_wins_over_the_environment(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Path(__file__)))
    assert transport(cloud).call("GET", ME)


def test_the_environments_ca_serves_without_ca_path(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cloud.ca_path))
    assert transport(cloud, ca_path=None).call("GET", ME)


def test_a_ca_file_that_is_none_is_one_clear_error(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate\n")
    with pytest.raises(PelionError, match="no PEM certificate"):
        transport(cloud, ca_path=str(tmp_path / "ca.pem"))


@pytest.mark.parametrize("listener", ["unknown_ca_url", "wrong_name_url"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_that_is_not_trusted_gets_no_key(cloud: Cloud, listener: str, method: str, pauses: list[float]) -> None:
    error = failure(transport(cloud, getattr(cloud, listener)()), method, CREATE if method == "POST" else ME)
    assert "not trusted" in str(error)
    assert "ca_path" in str(error)
    assert error.status is None
    assert not error.undecided
    assert not calls(cloud)
    assert not pauses  # trying again would not help


def test_validate_certs_false_trusts_any(cloud: Cloud) -> None:
    assert transport(cloud, cloud.unknown_ca_url(), ca_path=None, validate_certs=False).call("GET", ME)


def test_tls_to_a_plain_port_is_one_clear_error(cloud: Cloud) -> None:
    error = failure(transport(cloud, cloud.http_url.replace("http://", "https://"), retries=0))
    assert "TLS failed" in str(error)


# --- proxies


def test_this_machine_is_not_asked_through_a_proxy(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    assert transport(cloud).call("GET", ME)
    assert transport(cloud, cloud.http_url).call("GET", ME)


def test_a_proxy_that_fails_is_named_without_its_password(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setenv("https_proxy", "http://me:hidden@127.0.0.1:9")
    error = failure(transport(cloud, "https://api.example.com"), "POST")
    assert "proxy" in str(error)
    assert "hidden" not in str(error)
    assert not error.undecided


# --- what is repeated


def test_no_connection_is_retried_then_one_clear_error(cloud: Cloud, pauses: list[float]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(transport(cloud, f"https://localhost:{unused.getsockname()[1]}"), "POST", CREATE)
    assert "Connection refused" in str(error)
    assert not error.undecided  # nothing was ever sent
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_passing_problem_passes(cloud: Cloud, status: int, method: str, pauses: list[float]) -> None:
    certificate_id = cloud.state.seed_certificates(1)[0]
    cloud.faults.add("status", status=status, times=4)
    transport(cloud).call(method, f"/v3/trusted-certificates/{certificate_id}")
    assert pauses == [1, 2, 4]


def test_a_problem_that_stays_is_told_with_the_attempts(cloud: Cloud, pauses: list[float]) -> None:
    cloud.faults.add("status", status=503)
    error = failure(transport(cloud, retries=2))
    assert error.status == 503
    assert "3 attempts" in str(error)
    assert calls(cloud).total() == 3


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "cut"}, {"kind": "cut", "after": 20}])
def test_what_makes_or_changes_is_never_repeated(
    cloud: Cloud, method: str, fault: dict[str, Any], pauses: list[float]
) -> None:
    certificate_id = cloud.state.seed_certificates(1)[0]
    cloud.faults.add(**fault)
    path = CREATE if method == "POST" else f"/v3/trusted-certificates/{certificate_id}"
    error = failure(transport(cloud), method, path, body={"name": "bench"})
    assert error.undecided
    assert calls(cloud).total() == 1
    assert not pauses


@pytest.mark.parametrize(("said", "waited"), [("7", 7), ("86400", 60), ("Fri, 01 Jan 2100 00:00:00 GMT", 60)])
def test_retry_after_is_followed_within_reason(cloud: Cloud, pauses: list[float], said: str, waited: float) -> None:
    cloud.faults.add("status", status=429, retry_after=said, times=1)
    transport(cloud).call("GET", ME)
    assert pauses == [waited]


def test_a_retry_after_that_makes_no_sense_is_passed_over(cloud: Cloud, pauses: list[float]) -> None:
    cloud.faults.add("status", status=429, retry_after="soon", times=2)
    transport(cloud).call("GET", ME)
    assert pauses == [1]


@pytest.mark.parametrize("fault", [{"after": None}, {"after": 0}, {"after": 30}])
def test_a_lost_answer_is_asked_for_again(cloud: Cloud, fault: dict[str, Any], pauses: list[float]) -> None:
    cloud.faults.add("cut", times=2, **fault)
    assert transport(cloud).call("GET", ME)["id"] == cloud.account_id
    assert calls(cloud).total() == 3


def test_an_answer_that_always_breaks_off_is_one_clear_error(cloud: Cloud, pauses: list[float]) -> None:
    cloud.faults.add("cut", after=30)
    assert "was cut off" in str(failure(transport(cloud, retries=2)))
    assert calls(cloud).total() == 3


# --- answers that are none


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kind": "body", "text": "<html>Log in</html>", "content_type": "text/html"}, r"not JSON .*text/html"),
        ({"kind": "body", "text": '{"id": '}, "not JSON"),
        ({"kind": "body", "text": "[1]"}, "not a JSON object"),
        ({"kind": "body", "text": "null"}, "not a JSON object"),
        ({"kind": "body", "text": "[" * 200_000}, "not JSON"),
        ({"kind": "body", "text": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}, "not JSON"),
        ({"kind": "truncated", "after": 20}, "not JSON"),
        ({"kind": "flood", "size": 10 * 1024 * 1024}, "not JSON"),
        ({"kind": "flood"}, "longer than 16 MiB"),
        ({"kind": "flood", "status": 503}, "longer than 16 MiB"),
        ({"kind": "flood", "status": 302}, "longer than 16 MiB"),
    ],
)
def test_rubbish_is_one_clear_error(cloud: Cloud, fault: dict[str, Any], why: str) -> None:
    cloud.faults.add(**fault)
    with pytest.raises(ApiError, match=why) as caught:
        transport(cloud).call("GET", ME)
    assert "api_host" in str(caught.value)
    assert caught.value.undecided


def test_an_answer_that_trickles_has_an_end(cloud: Cloud) -> None:
    cloud.faults.add("drip", interval=0.2)
    assert "no complete answer within 1 s" in str(failure(transport(cloud, timeout=1, retries=0)))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_head_that_trickles_has_an_end(cloud: Cloud, method: str) -> None:
    over = threading.Event()

    def trickle(server: socket.socket) -> None:
        connection, _address = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            for _part in range(200):
                if over.wait(0.1):
                    break
                connection.sendall(b"x")
            connection.sendall(b"\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server,), daemon=True)
        thread.start()
        client = transport(cloud, f"http://127.0.0.1:{server.getsockname()[1]}", timeout=1, retries=0)
        try:
            error = failure(client, method)  # would not come before the trickling is over
        finally:
            over.set()
            thread.join()
    assert "no complete answer within 1 s" in str(error)
    assert error.undecided


def test_an_answer_that_does_not_begin_is_a_timeout(cloud: Cloud) -> None:
    cloud.faults.add("latency", seconds=5)
    error = failure(transport(cloud, timeout=1, retries=0), "POST", CREATE, body={"name": "bench"})
    assert "no complete answer within 1 s" in str(error)
    assert error.undecided


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(cloud: Cloud, status: int) -> None:
    with Cloud() as other:
        cloud.faults.add("redirect", location=other.http_url + ME, status=status)
        error = failure(transport(cloud))
        assert not calls(other)
    assert error.status == status
    assert other.http_url in str(error)


def test_an_answer_that_is_not_http(cloud: Cloud, pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-dropbear_2019.78\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        error = failure(transport(cloud, f"http://127.0.0.1:{server.getsockname()[1]}", retries=0))
        thread.join()
    assert "no answer" in str(error)


# --- what the service says


def test_an_error_carries_all_that_the_service_said(cloud: Cloud) -> None:
    transport(cloud).call("POST", CREATE, body={"name": "bench"})
    error = failure(transport(cloud), "POST", CREATE, body={"name": "bench"})  # its `fields` are one object
    assert (error.status, error.type) == (409, "duplicate")
    assert error.fields == [{"name": "certificate", "message": "Certificate already exists."}]
    assert error.request_id
    assert error.request_id in str(error)
    assert error.facts == {
        "status": 409,
        "type": "duplicate",
        "fields": error.fields,
        "request_id": error.request_id,
    }
    assert not error.undecided


def test_fields_may_be_a_list(cloud: Cloud) -> None:
    error = failure(transport(cloud), path="/v3/trusted-certificates", query={"limit": 1})
    assert [field["name"] for field in error.fields] == ["limit"]


@pytest.mark.parametrize("fields", [None, "text", 7, [1, None], [{"name": 3}], {"name": {"a": 1}}])
def test_odd_fields_do_not_hide_the_error(cloud: Cloud, fields: Any) -> None:
    body = {"code": 400, "type": "validation_error", "message": "No.", "fields": fields}
    cloud.faults.add("body", text=json.dumps(body), status=400)
    assert failure(transport(cloud)).type == "validation_error"


def test_a_wrong_key_is_told_with_advice(cloud: Cloud) -> None:
    error = failure(ApiTransport(cloud.https_url, "ak_wrong", ca_path=str(cloud.ca_path)))
    assert (error.status, error.type) == (401, "invalid_auth")
    assert "The API key is not valid" in str(error)
    options = {"ca_path": str(cloud.ca_path), "origin": "PELION_API_KEY"}
    error = failure(ApiTransport(cloud.https_url, "ak_wrong", **options))
    assert "The API key (PELION_API_KEY) is not valid" in str(error)


def test_a_key_that_the_service_echoes_is_masked(cloud: Cloud) -> None:
    body = {"type": "invalid_auth", "message": f"Bearer {cloud.api_key} is bad", "request_id": cloud.api_key}
    cloud.faults.add("body", text=json.dumps(body), status=401)
    error = failure(transport(cloud))  # failure() asserts that the key is nowhere
    assert "********" in str(error)


def test_what_the_service_says_is_kept_short_and_printable(cloud: Cloud) -> None:
    body = {"type": "x", "message": "\x1b[31m" + "long " * 1000}
    cloud.faults.add("body", text=json.dumps(body), status=400)
    error = failure(transport(cloud))
    assert "\x1b" not in str(error)
    assert len(str(error)) < 800


def test_pauses_are_as_documented() -> None:
    assert api_transport._Retry.LONGEST_PAUSE == 60
