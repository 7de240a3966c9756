# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host the API is at, as people write it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from ..errors import PelionError


def api_url(host: str) -> str:
    """``host`` as ``https://NAME[:PORT]``; a name without a scheme is taken as https.

    Raises PelionError for what is no host, and for plain http to anything but this machine.
    """
    text = host.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name = port = None
    if (
        not name
        or parts.username
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or any(map(str.isspace, text))
    ):
        raise PelionError(f"api_host must be like https://api.us-east-1.mbedcloud.com, without a path; not {host!r}.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(name)):
        raise PelionError(
            f"api_host {host!r} would send the API key unprotected: use https (plain http goes to this machine only)."
        )
    netloc = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{netloc}" + (f":{port}" if port else "")


def is_loopback(name: str) -> bool:
    """Whether ``name`` is this machine itself."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
