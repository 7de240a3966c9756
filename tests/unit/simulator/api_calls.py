# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of the fixtures by which tests call the lab's cloud (conftest.py)."""

from __future__ import annotations

from collections.abc import Callable

import requests
from cloud import Cloud

Call = Callable[..., requests.Response]
"""``call("GET", "/v3/devices/", params={...})``"""
ClientOf = Callable[[Cloud], Call]
