# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.names import is_host_name

# The machine may be busy.


@pytest.mark.parametrize("name", ["mbed-linux-os-1", "bench.cam", "a", "7up", "x" * 63])
def test_names_of_hosts(name: str) -> None:
    assert is_host_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *["", "{{ 1 + 1 }}", "a b", "-oProxyCommand=x", "..", "a'b", "-", "名", "x" * 64, "a\n", "a/b", "fe80::1%eth0"],
        *["localhost", "LOCALHOST", "localhost.localdomain", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "1.2.3"],
        *["True", "false", "Null", "yes", "1e5", "0b11", "1_000", "nan"],
    ],
)
def test_what_is_no_name_of_a_host(name: str) -> None:
    assert not is_host_name(name)


@given(st.ip_addresses().map(str) | st.integers(0, 2**32 - 1).map(str) | st.floats().map(str))
def test_no_address_and_no_number_is_a_name(text: str) -> None:
    assert not is_host_name(text)


@given(st.text(st.characters(codec="ascii"), max_size=70))
def test_a_name_is_a_text_to_all_that_read_it(text: str) -> None:
    if is_host_name(text):
        with pytest.raises(ValueError, match=""):
            ipaddress.ip_address(text)
        with pytest.raises(ValueError, match=""):
            json.loads(text)
        assert isinstance(yaml.safe_load(text), str)
