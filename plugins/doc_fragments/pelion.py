# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of plugin_utils/task/pelion_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_key:
    description:
      - API key (access key) of the Pelion Device Management account.
      - Without it, the environment variable E(PELION_API_KEY) is used, then E(MBED_CLOUD_SDK_API_KEY), then the key
        that M(pelion.mbl.pelion_api_key) saved in the user store.
    type: str
  api_host:
    description:
      - The API's host, as C(https://NAME) or C(https://NAME:PORT). Plain C(http) is accepted for this machine only.
      - Without it, the environment variable E(PELION_API_HOST) is used, then E(MBED_CLOUD_SDK_HOST), then the host
        that a saved key was saved for, then V(https://api.us-east-1.mbedcloud.com).
      - A saved key is never sent to another host than the one that it was saved for.
      - Proxies come from E(HTTPS_PROXY) and E(NO_PROXY). Redirects are not followed.
    type: str
  ca_path:
    description:
      - File or directory of CA certificates (PEM) that the API's certificate must come from.
      - Without it, the environment variable E(PELION_CA_PATH) is used, then E(REQUESTS_CA_BUNDLE), then the public
        CAs of Python's certifi.
    type: path
  validate_certs:
    description: Whether the API's certificate is checked. Only ever set this to V(false) in a closed test network.
    type: bool
    default: true
  api_timeout:
    description: How many seconds one attempt of a call may take, from its begin to the end of the answer.
    type: int
    default: 30
  api_retries:
    description:
      - How often a call is repeated after a lost connection, or after the API's 429, 500, 502, 503 or 504, with
        growing pauses or as long as its C(Retry-After) says (at most a minute).
      - Calls that make or change something are not repeated once they were sent; deletions are.
    type: int
    default: 4
requirements:
  - requests >= 2.31 and urllib3 >= 2.2 (Python libraries on the controller)
"""
