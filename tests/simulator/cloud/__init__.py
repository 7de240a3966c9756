# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Pelion Device Management service: API, bootstrap and LwM2M servers, faults on demand.

Usable within a process (``with Cloud() as cloud``) and as one of its own (``python -m cloud``), which
``LabCloud`` then drives through its control socket.
"""

from __future__ import annotations

from .remote import LabCloud
from .service import Cloud

__all__ = ["Cloud", "LabCloud"]
