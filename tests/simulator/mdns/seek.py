# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One search inside a street: python -m mdns.seek, with the arguments of discover as JSON; prints what it found."""

from __future__ import annotations

import dataclasses
import json
import sys
import time

from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.discover import discover
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.hosts import Rules, select
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.links import chosen, links
from ansible_collections.pelion.mbl.plugins.plugin_utils.discovery.roster import Roster


def main() -> None:
    asked = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    rules = Rules(roster=Roster.parse(asked.pop("roster", [])), **asked.pop("rules", {}))
    every = links()
    began = time.monotonic()
    options = {"timeout": 5.0, "quiet": 0.6} | asked
    found = discover(rules, every, chosen(every, options.pop("interfaces", [])), **options)
    took = time.monotonic() - began
    selection = select(found.announcements, rules, every)
    boards = [dataclasses.asdict(board) for board in selection.boards]
    answer = {"boards": boards, "warnings": [*found.warnings, *selection.warnings]}
    print(json.dumps({**answer, "seconds": took, "dropped": found.dropped}))


if __name__ == "__main__":
    main()
