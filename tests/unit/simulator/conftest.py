# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of the lab's cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from api_calls import Call, ClientOf
from cloud import Cloud


@pytest.fixture(scope="session")
def client_of() -> Iterator[ClientOf]:
    """``client_of(cloud)("GET", "/v3/devices/", params={...})``: over TLS, with the account's key."""
    with ExitStack() as sessions:

        def client_of(cloud: Cloud) -> Call:
            session = sessions.enter_context(requests.Session())
            session.trust_env = False  # or REQUESTS_CA_BUNDLE would go before the CA
            session.verify = str(cloud.ca_path)
            session.headers["Authorization"] = f"Bearer {cloud.api_key}"

            def call(method: str, path: str, **options: Any) -> requests.Response:
                options = {"timeout": 30, "allow_redirects": False, **options}
                return session.request(method, cloud.https_url + path, **options)

            return call

        yield client_of


@pytest.fixture
def call(cloud: Cloud, client_of: ClientOf) -> Call:
    return client_of(cloud)


@pytest.fixture(scope="module")
def shared_cloud() -> Iterator[Cloud]:
    """A cloud for tests that only read."""
    with Cloud() as running:
        yield running


@pytest.fixture(scope="module")
def shared_call(shared_cloud: Cloud, client_of: ClientOf) -> Call:
    return client_of(shared_cloud)
