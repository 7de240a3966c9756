# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a board could not do what was asked, or what its user is warned of. All have one fact, ``detail``."""

from __future__ import annotations

from collections.abc import Mapping

from ..reasons import Kind

BOARD_REASONS: Mapping[str, Kind] = {
    "no-utility": Kind(
        "There is no /opt/arm/pelion-provisioning-util on this board, so it cannot be provisioned. "
        "Some MBL images of the 0.6 era lack it: update the board's image."
    ),
    "utility-broken": Kind(
        "This board's pelion-provisioning-util cannot be run ({detail}). Is the image complete, and made "
        "for this board?"
    ),
    "no-space": Kind(
        "There is not enough room on this board: {detail}. Nothing was changed: make room, then run again."
    ),
    "read-only": Kind(
        "{detail} cannot be written on this board, so nothing was changed. Look for errors of its flash, "
        "mount it for writing, then run again."
    ),
    "no-mbl": Kind("This host has no /config/user, so it is no MBL board. Was a board's task given to another host?"),
    "no-scratch": Kind("This board has no /scratch, where the utility reads its input. Is it an MBL device?"),
    "no-run": Kind("This board has no writable /run. Is it an MBL device, and is the user root?"),
    "locked": Kind(
        "Another provisioning run is at work on this board (process {detail}). Run again when it has ended."
    ),
    "foreign-utility": Kind("Another tool is provisioning this board (process {detail}). Run again when it has ended."),
    "stop-client": Kind("mbl-cloud-client could not be stopped: {detail}"),
    "changed-since": Kind(
        "This board was provisioned by another tool or run after it was asked what it holds, so nothing "
        "was changed. Run again."
    ),
    "bootstrapped-since": Kind("This board bootstrapped with other credentials after it was asked. Run again."),
    "snapshot": Kind(
        "The board's present KCM could not be copied, so nothing was changed. "
        "Is /config/user full or read-only? {detail}"
    ),
    "inputs": Kind("The items could not be written to /scratch/provisioning-certs. Is /scratch full or read-only?"),
    "inputs-taken": Kind(
        "/scratch/provisioning-certs exists and no memory could be mounted over it. "
        "Another tool left it there: remove it from the board, it may hold private keys."
    ),
    "inputs-changed": Kind(
        "Another tool used /scratch/provisioning-certs at the same time. Run again when it has ended."
    ),
    "utility": Kind("pelion-provisioning-util refused the credentials: {detail}"),
    "utility-ended": Kind("pelion-provisioning-util did not run to its end: {detail}"),
    "check": Kind("The injection did not hold: {detail}"),
    "unmount": Kind("The new set could not be put in the place of the old one: umount failed."),
    "swap": Kind("The new set could not be put in the place of the old one. Is /config/user read-only?"),
    "record": Kind("The record could not be written to /config/user. Is it full or read-only?"),
    "overwritten": Kind(
        "Another tool or run has provisioned this board while its registration was awaited, so it holds "
        "other credentials now. Find out who did, then run again."
    ),
    "put-back": Kind(
        "What an injection that was cut off has left on this board could not be put in order; its client was "
        "left stopped. The sets are whole in /config/user (docs/on-the-board.md tells which is which)."
    ),
    "terminated": Kind("The work on this board was ended from outside."),
    "inputs-disk": Kind(
        "No memory could be mounted on the board, so the keys lay on its disk (/scratch) for a moment; "
        "they were overwritten there, which flash memory may not honour."
    ),
    "inputs-busy": Kind(
        "A process on the board sat in /scratch/provisioning-certs while the keys were there, so it "
        "may have read them. It was emptied, and is unmounted as soon as that process ends."
    ),
    "way-journal": Kind(
        "Nothing can be mounted over /config/user/pal on this board, so the credentials were replaced "
        "in place: had the power failed meanwhile, the next run, not the board itself, would have put the "
        "old ones back."
    ),
}
