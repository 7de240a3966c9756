# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for a Python library that is not installed.

Ansible reports a plugin that cannot be imported as a bug of its own. So libraries that come with neither Python nor
ansible-core are imported where is_installed says so, and stood in for by Absent and AbsentError elsewhere; plugins call
require_libraries before they use any. `TYPE_CHECKING or` before it shows type checkers the library alone.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from .errors import PelionError

_REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"
_missing: set[str] = set()


def is_installed(library: str) -> bool:
    """Whether ``library`` can be imported. One that cannot is remembered, for require_libraries."""
    try:
        importlib.import_module(library)
    except ImportError:
        _missing.add(library)
        return False
    return True


class Absent:
    """A module, class or function of a missing library, with which any module can be imported."""

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_arguments: Any, **_options: Any) -> Absent:
        return self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


class AbsentError(Exception):
    """An exception of a missing library: nothing raises it."""


def require_libraries() -> None:
    """Raises PelionError when is_installed missed any."""
    if _missing:
        raise PelionError(
            f"Missing on the controller: {', '.join(sorted(_missing))}. Install the Python libraries of pelion.mbl: "
            f"{sys.executable} -m pip install -r {_REQUIREMENTS}"
        )
