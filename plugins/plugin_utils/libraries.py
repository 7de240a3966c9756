# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for a Python library that is not installed.

Ansible reports a plugin that cannot be imported as a bug of its own. So imports of libraries that come with neither
Python nor ansible-core fall back to Absent, and plugins call require_libraries before they use any.
"""

from __future__ import annotations

import sys
from typing import Any

from .errors import PelionError

_absent: set[str] = set()


class Absent:
    """A module, class or function of a missing ``library``, with which any module can be imported."""

    def __init__(self, library: str) -> None:
        _absent.add(library)

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_arguments: Any, **_options: Any) -> Absent:
        return self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


def require_libraries() -> None:
    """Raises PelionError when an import fell back to Absent."""
    if _absent:
        raise PelionError(
            f"Missing on the controller: {', '.join(sorted(_absent))}. Install the Python libraries of pelion.mbl: "
            f"{sys.executable} -m pip install -r FILE, with the collection's file requirements.txt."
        )
