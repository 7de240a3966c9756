# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/reasons.md, made from the tables of reasons. To write it: .venv/bin/python tests/unit/support/reasons_page.py"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / ".build"))

from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Kind  # noqa: E402
from ansible_collections.pelion.mbl.plugins.plugin_utils.report.reasons import TABLES  # noqa: E402

FILE = ROOT / "docs/reasons.md"

HEAD = """\
<!--
SPDX-FileCopyrightText: The pelion.mbl contributors
SPDX-License-Identifier: GPL-3.0-or-later
Made by tests/unit/support/reasons_page.py: change the tables, not this page.
-->

# Reasons

Why a board is not in order, as a code for scripts. A report has it as `code` of each board in `fleet.json` and
`fleet.csv`, and as the type of a failure in `fleet.junit.xml`; the result of a task that failed has it as `reason`.
The facts that texts name, in *italics* here, are beside it: `facts` in `fleet.json`, `reason_facts` in a result.
*text* is the message itself, and not repeated there.
Whether a board takes updates is told by codes of its own, in `takes_updates` of `fleet.json`.
For `no-signing-key` and `not-our-certificate`, see also [the signing key or the store is
lost](operating.md#the-signing-key-or-the-store-is-lost).
A code keeps its meaning. Later versions may have more.
"""

ROOMS = {
    "board": "What a board says",
    "fleet": "What is decided for a fleet",
    "updates": "Why a board takes no updates, or why that is not known",
    "proofs": "Why a board has not proven that it takes updates",
    "report": "What a report says",
    "diagnosis": "What a diagnosis finds",
}


def page() -> str:
    """The whole page. A code of several rooms is listed once."""
    parts, told = [HEAD], set()
    for room, title in ROOMS.items():
        codes = {code: kind for code, kind in TABLES.get(room, {}).items() if code not in told}
        if codes:
            told |= codes.keys()
            rows = [f"| `{code}` | {_text(_meaning(kind))} | {_text(kind.next_step)} |" for code, kind in codes.items()]
            parts.append("\n".join([f"## {title}", "", "| code | meaning | what to do |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def _meaning(kind: Kind) -> str:
    """Some codes leave the words to what is said on the spot."""
    own = (text for text in (kind.text, kind.common) if text and re.sub(r"{[^}]*}", "", text).strip(" ."))
    return next(own, "The text of the report or the result says what it is.")


def _text(template: str) -> str:
    """A template as Markdown in a table."""
    return re.sub(r"{(\w+)[^}]*}", r"*\1*", template.replace("|", "\\|").replace("*", "\\*")).strip()


if __name__ == "__main__":
    FILE.write_text(page())
