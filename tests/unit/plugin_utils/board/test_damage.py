# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boards whose storage is damaged, or is not what it should be."""

from __future__ import annotations

import os

import pytest
from board_box import BoardBox
from board_samples import FIRST, SECOND, holds, inject

from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError

IDENTITY = "WORKING/0hG1cjMO"
"""An item of the client's own."""
DAMAGES = {
    "zeros": 'head -c 300 /dev/zero >"$file"',
    "garbage": 'head -c 300 /dev/urandom >"$file"',
    "empty": ': >"$file"',
    "another item's": 'cp "${file%/*}/97LymtR#" "$file"',
    "a directory": 'rm "$file"; mkdir "$file"; echo x >"$file/x"',
    "gone": 'rm "$file"',
}


@pytest.fixture
def provisioned(box: BoardBox) -> BoardBox:
    inject(box.board(), FIRST, "not-yet")
    (box.root / "config/user/pal" / IDENTITY).write_text("the identity")
    return box


@pytest.mark.parametrize("copy", ["BACKUP", "WORKING"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_item_is_not_in_the_way_of_a_new_set(provisioned: BoardBox, damage: str, copy: str) -> None:
    """The utility itself refuses to store over most of these; what the client keeps beside the items stays."""
    provisioned.run(f"file=/config/user/pal/{copy}/YBGSQ1nq\n{DAMAGES[damage]}")
    assert not holds(provisioned.board().inspect(may_change=True), FIRST)
    inject(provisioned.board(), FIRST)
    assert holds(provisioned.board().inspect(may_change=True), FIRST)
    assert (provisioned.root / "config/user/pal" / IDENTITY).read_text() == "the identity"


def test_a_damaged_item_is_not_in_the_way_where_nothing_can_be_mounted(provisioned: BoardBox) -> None:
    provisioned.cannot_bind()
    provisioned.reboot()
    provisioned.run(f"file=/config/user/pal/BACKUP/YBGSQ1nq\n{DAMAGES['zeros']}")
    assert inject(provisioned.board(), SECOND).way == "journal"
    assert holds(provisioned.board().inspect(may_change=True), SECOND)


@pytest.mark.parametrize("name", ["pal", "pal.new", "pal.old", "pal.before", "pal.discard"])
def test_nothing_is_done_through_a_link(provisioned: BoardBox, name: str) -> None:
    """What it leads to may be somebody else's; the root of trust there was once overwritten."""
    place = provisioned.root / "config/user" / name
    elsewhere = provisioned.root / "scratch/elsewhere"
    if place.exists():
        place.rename(elsewhere)
    else:
        elsewhere.mkdir()
        (elsewhere / "flashSim").write_text("the root of trust")
    before = {file: (elsewhere / file).read_bytes() for file in os.listdir(elsewhere) if (elsewhere / file).is_file()}
    place.symlink_to("/scratch/elsewhere")
    for work in (lambda: inject(provisioned.board(), SECOND), lambda: provisioned.board().empty(found_digest=None)):
        with pytest.raises(
            BoardError, match=f"/config/user/{name} is a link on this board, so nothing was done"
        ) as raised:
            work()
        assert (raised.value.facts["reason"], raised.value.facts["changed"]) == ("link", False)
    after = {file: (elsewhere / file).read_bytes() for file in os.listdir(elsewhere) if (elsewhere / file).is_file()}
    assert after == before


def test_a_pipe_in_the_place_of_the_log_is_not_waited_for(provisioned: BoardBox) -> None:
    log = provisioned.root / "var/log/mbl-cloud-client.log"
    log.unlink()
    os.mkfifo(log)
    provisioned.run("rm -f /run/pelion-mbl/client")
    assert holds(provisioned.board().inspect(may_change=True), FIRST)
