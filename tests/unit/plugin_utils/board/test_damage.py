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
    healed = provisioned.board().inspect(may_change=True)
    assert holds(healed, FIRST)
    assert healed.damaged == ()
    assert (provisioned.root / "config/user/pal" / IDENTITY).read_text() == "the identity"


@pytest.mark.parametrize("copy", ["BACKUP", "WORKING"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("item", ["YBGSQ1nq mbed.Manufacturer", "uH9ZLyF9 mbed.BootstrapServerURI"])
def test_a_damaged_copy_is_named(provisioned: BoardBox, damage: str, copy: str, item: str) -> None:
    file, name = item.split()
    assert provisioned.board().inspect(may_change=False).damaged == ()
    provisioned.run(f"file=/config/user/pal/{copy}/{file}\n{DAMAGES[damage]}")
    found = provisioned.board().inspect(may_change=False)
    assert found.damaged == (f"{name} ({copy})",)
    assert any(f"{name} ({copy})" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("change", "told"), [(b"x", "mbed.Manufacturer (WORKING or BACKUP)"), (b"", "mbed.Manufacturer (WORKING)")]
)
def test_of_two_copies_that_differ_the_beginnings_tell_which_is_damaged(
    provisioned: BoardBox, change: bytes, told: str
) -> None:
    """One that was changed behind its name cannot be told from the right one: its key is not ours."""
    file = provisioned.root / "config/user/pal/WORKING/YBGSQ1nq"
    content = file.read_bytes()
    file.write_bytes(content + change if change else content[:6] + b"X" + content[7:])
    assert provisioned.board().inspect(may_change=False).damaged == (told,)


def test_what_the_client_writes_is_not_damaged(provisioned: BoardBox) -> None:
    """At a later bootstrap it adds its identity to the address."""
    file = provisioned.root / "config/user/pal/WORKING/uH9ZLyF9"
    file.write_bytes(file.read_bytes() + b"&iep=")
    found = provisioned.board().inspect(may_change=False)
    assert (found.damaged, found.provisioned_by) == ((), "pelion.mbl")


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


@pytest.mark.parametrize("copy", ["BACKUP", "WORKING"])
def test_nothing_is_done_through_a_link_within_the_kcm(provisioned: BoardBox, copy: str) -> None:
    place, elsewhere = provisioned.root / "config/user/pal" / copy, provisioned.root / "scratch/elsewhere"
    place.rename(elsewhere)
    place.symlink_to("/scratch/elsewhere")
    before = {file.name: file.read_bytes() for file in elsewhere.iterdir()}
    with pytest.raises(BoardError, match=f"/config/user/pal/{copy} is a link") as raised:
        inject(provisioned.board(), SECOND)
    assert raised.value.facts["changed"] is False
    assert {file.name: file.read_bytes() for file in elsewhere.iterdir()} == before


def test_a_record_is_not_written_through_a_link(provisioned: BoardBox) -> None:
    """One that leads nowhere is not seen by who asks whether it exists."""
    (provisioned.root / "config/user/pelion-mbl.record.new").symlink_to("/scratch/elsewhere")
    inject(provisioned.board(), SECOND)
    assert holds(provisioned.board().inspect(may_change=True), SECOND)
    assert not (provisioned.root / "scratch/elsewhere").exists()
    assert not (provisioned.root / "config/user/pelion-mbl.record").is_symlink()


def test_no_key_stays_where_scratch_is_a_link(provisioned: BoardBox) -> None:
    """The kernel lists a mount by the place that a link leads to."""
    (provisioned.root / "scratch").rename(provisioned.root / "var/scratch")
    (provisioned.root / "scratch").symlink_to("/var/scratch")
    inject(provisioned.board(), SECOND)
    assert holds(provisioned.board().inspect(may_change=True), SECOND)
    assert "provisioning-certs" not in provisioned.run("cat /proc/mounts; ls /scratch")


def test_no_key_is_put_where_a_link_leads(provisioned: BoardBox) -> None:
    (provisioned.root / "scratch/elsewhere").mkdir()
    (provisioned.root / "scratch/provisioning-certs").symlink_to("/scratch/elsewhere")
    with pytest.raises(BoardError, match="/scratch/provisioning-certs is a link"):
        inject(provisioned.board(), SECOND)
    assert "elsewhere" not in provisioned.run("cat /proc/mounts")


@pytest.mark.parametrize(
    "place", ["pal/BACKUP/YBGSQ1nq", "pal/WORKING/more", "pal/BACKUP/4iiZZ2xW", "pelion-mbl.device"]
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(provisioned: BoardBox, place: str) -> None:
    pipe = provisioned.root / "config/user" / place
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    provisioned.board().inspect(may_change=True)
    inject(provisioned.board(), SECOND)
    assert holds(provisioned.board().inspect(may_change=True), SECOND)


def test_an_endless_certificate_is_not_read_to_its_end(provisioned: BoardBox) -> None:
    with (provisioned.root / "config/user/pal/WORKING/4iiZZ2xW").open("r+b") as file:
        file.truncate(1 << 27)
    assert not holds(provisioned.board().inspect(may_change=True), FIRST)


def test_a_pipe_in_the_place_of_the_log_is_not_waited_for(provisioned: BoardBox) -> None:
    log = provisioned.root / "var/log/mbl-cloud-client.log"
    log.unlink()
    os.mkfifo(log)
    provisioned.run("rm -f /run/pelion-mbl/client")
    assert holds(provisioned.board().inspect(may_change=True), FIRST)
