# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts at once share; tests/integration/test_at_once.py has them all in Ansible."""

from __future__ import annotations

import pytest
from jinja2 import Environment

from ansible_collections.pelion.mbl.plugins.plugin_utils.task.at_once import compile_templates_once


def test_a_template_is_compiled_once_and_another_one_of_the_same_text_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Environment, "compile", Environment.compile)
    compile_templates_once()
    text, other = "{{ who }}\n", "".join(["{{ who }}", "\n"])
    one, again = (Environment().compile(text) for _time in range(2))
    assert one is again and Environment().compile(other) is not one
    keeping = Environment(keep_trailing_newline=True)
    assert [env.from_string(text).render(who="me") for env in (Environment(), keeping)] == ["me", "me\n"]
