# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a board could not do what was asked, and what its user is warned of. All have one fact, ``detail``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..reasons import Kind

PROGRAM_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        "no-utility": Kind(
            "There is no /opt/arm/pelion-provisioning-util on this board, so it cannot be provisioned.",
            "Some MBL images of the 0.6 era lack it: update the board's image.",
        ),
        "no-mbl": Kind(
            "This host has no /config/user, so it is not an MBL board.", "Was a board's task given to another host?"
        ),
        "link": Kind(
            "{detail} is a link on this board, so nothing was done.",
            "Find out who made it. Where it leads, move what is there to {detail} itself.",
            "The KCM, a copy of it or the inputs' directory is a link on these boards, so nothing was done.",
        ),
        "no-scratch": Kind(
            "This board has no /scratch, where the utility reads its input.", "Check that it is an MBL board."
        ),
        "no-run": Kind("This board has no writable /run.", "Check that it is an MBL board, and that the user is root."),
        "locked": Kind(
            "Another provisioning run is at work on this board (process {detail}).",
            "Run again when it has ended.",
            "Other provisioning runs are at work on these boards.",
        ),
        "foreign-utility": Kind(
            "Another tool is provisioning this board (process {detail}).",
            "Run again when it has ended.",
            "Another tool is provisioning these boards.",
        ),
        "stop-client": Kind(
            "mbl-cloud-client could not be stopped: {detail}", common="mbl-cloud-client could not be stopped."
        ),
        "changed-since": Kind(
            "Another tool or run provisioned this board after it was asked what it holds, so nothing was changed.",
            "Run again.",
        ),
        "bootstrapped-since": Kind("This board bootstrapped with other credentials after it was asked.", "Run again."),
        "snapshot": Kind(
            "The board's present KCM could not be copied, so nothing was changed. {detail}",
            "Check that /config/user is not full or read-only.",
            "These boards' present KCM could not be copied, so nothing was changed.",
        ),
        "inputs": Kind(
            "The items could not be written to /scratch/provisioning-certs.",
            "Check that /scratch is not full or read-only.",
        ),
        "mount": Kind(
            "This board could not mount what the work needs, so nothing was changed: {detail}",
            "Check that it is an MBL board, and that the user is root.",
            "These boards could not mount what the work needs, so nothing was changed.",
        ),
        "inputs-changed": Kind(
            "Another tool used /scratch/provisioning-certs at the same time.", "Run again when it has ended."
        ),
        "utility": Kind(
            "pelion-provisioning-util refused the credentials: {detail}",
            common="pelion-provisioning-util refused the credentials.",
        ),
        "check": Kind("The board does not hold what was injected: {detail}", common="The injection did not hold."),
        "unmount": Kind("The new set could not replace the old one: umount failed."),
        "swap": Kind(
            "The new set could not be put in the place of the old one.", "Check that /config/user is not read-only."
        ),
        "record": Kind("The record could not be written to /config/user.", "Check that it is not full or read-only."),
        "overwritten": Kind(
            "Another tool or run provisioned this board while its registration was awaited, so it holds other "
            "credentials now.",
            "Find out who did, then run again.",
        ),
        "put-back": Kind(
            "What an injection that was cut off has left on this board could not be put in order, so its client was "
            "left stopped.",
            "The sets are whole in /config/user: pal.before or pal.old is the one from before, pal.new the new one.",
        ),
        "cloud-name": Kind(
            "This board cannot resolve the name of the cloud's server, {detail}, so nothing was changed.",
            "Check its network and name servers: pelion.mbl.diagnose shows them. To put credentials on it all the "
            "same, without waiting for its registration, set registration_timeout (in the role: "
            "provision_pelion_registration_timeout) to 0.",
            "These boards cannot resolve the name of the cloud's server, so nothing was changed.",
        ),
        "cloud-connect": Kind(
            "This board cannot connect to the cloud's server, {detail}, so nothing was changed.",
            "Check its network, and whether a firewall lets it connect: pelion.mbl.diagnose shows more. To put "
            "credentials on it all the same, without waiting for its registration, set registration_timeout (in the "
            "role: provision_pelion_registration_timeout) to 0.",
            "These boards cannot connect to the cloud's server, so nothing was changed.",
        ),
        "terminated": Kind("The work on this board was interrupted from outside.", "Run again."),
        "too-slow": Kind(
            "This board did not finish within {detail} seconds, so the work was ended.",
            "Does its storage fail, or does a program on it hang? Restart it. If it is only slow, raise board_timeout "
            "(in the role: provision_pelion_board_timeout).",
        ),
    }
)
"""Those that the board's program gives, by ``fail`` in board_program.sh."""

CONTROLLER_REASONS: Mapping[str, Kind] = MappingProxyType(
    {
        "utility-broken": Kind(
            "This board's pelion-provisioning-util cannot be run ({detail}).",
            "Check that the image is complete, and made for this board.",
            "The pelion-provisioning-util of these boards cannot be run.",
        ),
        "no-space": Kind(
            "There is not enough room on this board: {detail}. Nothing was changed.",
            "Make room, then run again.",
            "There is not enough room on these boards. Nothing was changed.",
        ),
        "read-only": Kind(
            "{detail} cannot be written on this board, so nothing was changed.",
            "Look for errors of its flash, mount it for writing, then run again.",
            "Storage cannot be written on these boards, so nothing was changed.",
        ),
        "utility-ended": Kind(
            "pelion-provisioning-util did not finish: {detail}",
            common="pelion-provisioning-util did not run to its end.",
        ),
        "no-answer": Kind(
            "The board's /bin/sh did not run the program (exit code {detail}).",
            "Check that it is an MBL board, and that its user is root.",
            "The /bin/sh of these boards did not run the program.",
        ),
        "bad-answer": Kind("The board's answer cannot be understood.", "Check that it is an MBL board."),
        "hangs": Kind(
            "This board sent no answer within {detail} seconds, so the connection was closed. It may still be at work.",
            "Does its storage fail, or does a program on it hang? Restart it, then run again.",
        ),
        "endless": Kind(
            "This board's answer is longer than {detail} kB, so the connection was closed.",
            "Look at what it sends: ssh BOARD echo. Is it an MBL board?",
            "The answers of these boards are too long, so the connections were closed.",
        ),
        "cut-off": Kind(
            "The board's answer ended early. The board completes or undoes what was under way, now or at the next run.",
            "Run again.",
        ),
    }
)
"""Those that follow from what the program says, or from its silence."""

BOARD_REASONS: Mapping[str, Kind] = MappingProxyType({**PROGRAM_REASONS, **CONTROLLER_REASONS})
"""Why a board could not do what was asked."""

BOARD_WARNINGS: Mapping[tuple[str, str], Kind] = MappingProxyType(
    {
        ("inputs", "busy"): Kind(
            "A process on the board was using /scratch/provisioning-certs while the keys were there, so it may have "
            "read them. The directory was emptied, and is unmounted as soon as that process ends."
        ),
    }
)
"""By key and value of the program's answer."""
