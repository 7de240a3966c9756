# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reasons that a report itself has for a board's outcome, and the tables of all rooms together.

docs/reasons.md is made from these tables (tests/unit/support/reasons_page.py).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from types import MappingProxyType

from ..board.reasons import BOARD_REASONS
from ..fleet.reasons import FLEET_REASONS, READINESS_REASONS
from ..fleet.update_results import PROBE_REASONS
from ..reasons import Kind

_AGAIN = "run again; boards that are already in order are left as they are."
_FIXED = f"When that is fixed, {_AGAIN}"
_IS_IT_ON = f"Check power and network, then {_AGAIN}"
_PROVISION = "Run pelion.mbl.provision."


REPORT_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        # ssh did not reach the board. Of one board a report gives ssh's own words, which have addresses in them.
        "host-key-changed": Kind(
            "Its ssh host key has changed: either it was flashed anew, or another machine answers in its place. The "
            "new key is {fingerprint}.",
            "If you flashed it, run pelion.mbl.forget_host -e boards={board}, then run again.",
            "Their ssh host keys have changed: either they were flashed anew, or other machines answer in their place.",
        ),
        "host-key-refused": Kind(
            "Its ssh host key is not one that is expected of it.",
            "Compare the host key with the fingerprint that the roster has for the board, and with ssh's known_hosts.",
            "Their ssh host keys are not those that are expected of them.",
        ),
        "login-refused": Kind(
            "It refused the login.",
            "Check the user and the key that ssh logs in with (ansible_user, ansible_ssh_private_key_file).",
            "They refused the login.",
        ),
        "ssh-timeout": Kind("ssh got no answer in time.", _IS_IT_ON, "ssh got no answer in time."),
        "connection-refused": Kind(
            "It is on the network, but takes no ssh connections.",
            f"It may still be starting. Check that its ssh server runs, then {_AGAIN}",
            "They are on the network, but take no ssh connections.",
        ),
        "no-route": Kind("No network leads to its address.", _IS_IT_ON, "No network leads to their addresses."),
        "address-unknown": Kind(
            "Its host name has no address.",
            "Check ansible_host in the inventory, and the name server of this machine. Then run again.",
            "Their host names have no addresses.",
        ),
        "connection-lost": Kind(
            "The connection was lost.",
            _IS_IT_ON,
            "The connections were lost.",
        ),
        "unreachable": Kind(
            "ssh did not reach it, for a reason that is not known here.",
            _IS_IT_ON,
            "ssh did not reach them, for reasons that are not known here.",
        ),
        # The run did not do its work on the board.
        "failed": Kind(
            "A task failed on it and gave no code. The text is what the task said.",
            _FIXED,
        ),
        "fleet-failed": Kind(
            "A task for the whole fleet failed. The text is what the task said.",
            _FIXED,
        ),
        "not-reached": Kind(
            "The run ended before it got to this board.",
            f"R{_AGAIN[1:]}",
            "The run ended before it got to these boards.",
        ),
        "not-judged": Kind(
            "It answered, but the run ended before it could say whether the board is in order.",
            "Fix what ended the run, then run again.",
            "They answered, but the run ended before it could say whether they are in order.",
        ),
        "site-silent": Kind(
            "Its site sent no report.",
            "Find out why the run at {site} ended, and run it again; boards that are already in order are left as they "
            "are.",
        ),
        "not-asked": Kind("It was not asked.", "Run again without a limit that leaves it out."),
        # It is expected, and the inventory does not have it.
        "missing": Kind(
            "It is not in the inventory; it was last proven to be registered at {last_seen}.",
            "Switch it on and connect it. If it will not come back, run pelion.mbl.remove_gone with -e boards={board}.",
            "They are not in the inventory, though the team has provisioned them.",
        ),
        "missing-from-roster": Kind(
            "It is in the roster, but not in the inventory.",
            "Switch it on and connect it, or take it off the roster.",
        ),
        # It answers, and something is to be done.
        "interrupted": Kind("Provisioning was cut off on it.", _PROVISION),
        "holds-no-credentials": Kind("It is not provisioned: it holds none of the credentials.", _PROVISION),
        "lacks-credentials": Kind(
            "It is not provisioned: it lacks {items}.",
            _PROVISION,
            "They are not provisioned: they lack some of the credentials.",
        ),
        "damaged": Kind(
            "Copies of items in its KCM are damaged: {items}.",
            _PROVISION,
            "Copies of items in their KCM are damaged.",
        ),
        "not-provisioned": Kind("It is not provisioned: its utility does not call it configured.", _PROVISION),
        "renamed": Kind(
            "The team knows it as {former}, which has the same {shared}.",
            "Run pelion.mbl.provision: if its ssh host key is still the same, the team then knows it by its new name.",
            "They have the ssh host keys or device IDs of boards that the team knows under other names.",
        ),
        "client-not-registered": Kind("Its client does not say that it is registered.", _PROVISION),
        "device-id-unknown": Kind("Its device ID is not known.", _PROVISION),
        "device-gone": Kind("The Device Directory does not have its device.", _PROVISION),
        "device-not-registered": Kind("The Device Directory has its device as {state}.", _PROVISION),
        "device-suspended": Kind(
            "Somebody suspended its device in the Device Directory.",
            "Let it connect again: run `ansible localhost -m pelion.mbl.pelion_device -a 'ids=ID suspended=false'`.",
        ),
    }
)
"""Beside the facts that texts name: ``client_error``, what the board's client says of why it is not registered.

In ``next_step``, ``board`` is the board's name, or several names with commas between.
"""

DIAGNOSIS_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        "outside-validity": Kind(
            "By its clock ({clock}), its {title} certificate is not valid: it is from {from} to {until}.",
            "Set its clock, or let it reach a server for time. Its client goes by the time that the cloud's server "
            "gives it, once it has met one.",
        ),
        "name-not-resolved": Kind(
            "It cannot resolve the name of its server, {host}.",
            "Check its network and its name servers: network.txt of the archive has both.",
        ),
        "port-closed": Kind(
            "It cannot connect to its server, {server}: {why}.",
            "Check its network, and whether a firewall lets it connect.",
            hints={"others": "Of this server, port {others} takes connections from it."},
        ),
        "no-tls": Kind(
            "Its server, {server}, takes connections and shows no certificate.",
            "Does a proxy or a firewall answer in the server's place?",
        ),
        "client-ended": Kind(
            "Its client does not run.",
            "Look at the end of its log. To start it: systemctl restart mbl-cloud-client; systemctl calls it active "
            "though it has ended.",
            hints={"error": "The last that it said is: {error}."},
        ),
        "client-error": Kind(
            "Its client says: {error}. {meaning}",
            "Look at its log. When the cause is gone, restart the client: it waits up to a week before it tries again.",
        ),
        "log-not-written": Kind(
            "{directory} is full or read-only, so its client's log ends at some time in the past.", "Make room there."
        ),
        "clock-differs": Kind(
            "Its clock is {span} {direction} the controller's.", "Set its clock, or let it reach a server for time."
        ),
    }
)
"""What pelion.mbl.diagnose finds, besides what is in the other tables."""

TABLES: Mapping[str, Mapping[str, Kind]] = {
    "board": BOARD_REASONS,
    "fleet": FLEET_REASONS,
    "updates": READINESS_REASONS,
    "proofs": PROBE_REASONS,
    "report": REPORT_REASONS,
    "diagnosis": DIAGNOSIS_REASONS,
}
"""Of all rooms, by the room. Where two have a code, the first one's words are taken."""

KINDS: Mapping[str, Kind] = ChainMap(*(dict(table) for table in TABLES.values()))
"""What any code means."""
