# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results compared with what a module's documentation says of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import yaml

COMMON = {"changed", "failed", "msg", "diff", "warnings", "deprecations", "exception", "advice"}
"""What every task's result may have; ``advice``, which is ours, is told in docs/contents.md."""


def undocumented(module: str, result: Mapping[str, Any]) -> set[str]:
    """The fields of a successful ``result`` of ``module`` (pelion.mbl.NAME), nested ones as A.B, that RETURN lacks."""
    name = module.rpartition(".")[2]
    source = importlib.import_module(f"ansible_collections.pelion.mbl.plugins.modules.{name}")
    return set(_unknown(yaml.safe_load(source.RETURN), {k: v for k, v in result.items() if k not in COMMON}, ""))


def _unknown(documented: Mapping[str, Any], found: Mapping[str, Any], place: str) -> Any:
    for name, value in found.items():
        if name not in documented:
            yield place + name
        elif contains := documented[name].get("contains"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    yield from _unknown(contains, item, f"{place}{name}.")
