# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.identity import Identities, Sighting
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import FLEET_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.refusals import turned_away
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.roster import concerning, misspelt, needs_proof
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import NewBoards, UpdateWish, Wishes

KEY = "SHA256:" + "a" * 43
BOARD = Remembered.now((KEY,), "0161dbbcdd660a580a010c3403c00000", "bench")


def why_refused(
    name: str,
    host_keys: Iterable[str] | HostKeys,
    roster: Sequence[str] | None,
    new_boards: NewBoards,
    known: Mapping[str, Remembered],
) -> str | None:
    """The code, and what is said of it."""
    keys = host_keys if isinstance(host_keys, HostKeys) else HostKeys(tuple(host_keys))
    wishes = Wishes(
        "bench", UpdateWish("update"), roster=None if roster is None else tuple(roster), new_boards=new_boards
    )
    member = Member(name, wishes, Inspection(has_utility=True), keys)
    refused = turned_away([member], Identities.of([member.sighting], known))
    return f"{refused[name].code}: {refused[name].message(FLEET_REASONS)}" if refused else None


@pytest.mark.parametrize("entry", ["bench-1", KEY])
def test_a_roster_names_boards_or_their_keys(entry: str) -> None:
    assert why_refused("bench-1", [KEY], ["other", entry], "allow", {}) is None


OTHER_KEY, SHORT = "SHA256:" + "b" * 43, "SHA256:short"
words = st.sampled_from(["bench-1", "bench-11", "other", KEY, OTHER_KEY, SHORT])
entries = st.lists(words, max_size=3).map(" ".join) | st.sampled_from([KEY, OTHER_KEY, f"bench-1 {KEY}", "other"])


@settings(max_examples=400)
@given(st.lists(entries, max_size=5), st.sets(st.sampled_from([KEY, OTHER_KEY])), st.booleans())
def test_the_part_of_a_roster_that_concerns_a_board_judges_it_as_the_whole_one(
    roster: list[str], keys: set[str], known: bool
) -> None:
    part = concerning("bench-1", keys, roster)
    memory = {"bench-1": BOARD} if known else {}
    reasons = [why_refused("bench-1", keys, each, "refuse", memory) for each in (part, roster)]
    assert reasons[0] == reasons[1]
    assert set(misspelt(part)) == set(misspelt(roster))
    assert len(part) <= max(1, len(keys)) + len(set(misspelt(roster)))


def test_a_roster_asks_for_a_key_where_one_may_be_the_board_s() -> None:
    assert needs_proof(["other", KEY], "bench-1") and needs_proof([f"bench-1 {KEY}"], "bench-1")
    assert not needs_proof(["bench-1", f"other {KEY}", SHORT], "bench-1")


def test_a_board_that_its_roster_does_not_mean_has_no_device_by_its_own_word() -> None:
    bootstrapped = (kcm.file_name(kcm.LWM2M_SERVER_URI),)
    board = Inspection(has_utility=True, files=bootstrapped, log=ClientLog(True, "d" * 32))
    for roster, device_id in ((None, "d" * 32), (("bench-1",), "d" * 32), (("other",), None)):
        wishes = Wishes("bench", UpdateWish("update"), roster=roster)
        found = Member("bench-1", wishes, board, HostKeys((KEY,))).sighting
        assert found == Sighting("bench-1", (KEY,), device_id, by_name=device_id is not None)
    new = Member("bench-1", replace(wishes, roster=None), replace(board, files=()), HostKeys((KEY,))).sighting
    assert not new.by_name, "it may be another one, that has not bootstrapped yet"


def test_a_name_with_keys_is_both() -> None:
    assert why_refused("bench-1", [KEY], [f"bench-1 SHA256:{'b' * 43} {KEY}"], "allow", {}) is None
    assert why_refused("bench-1", [KEY], [f"bench-1 SHA256:{'b' * 43}"], "allow", {})
    assert why_refused("bench-1", [], [f"bench-1 {KEY}"], "allow", {})
    assert why_refused("other", [KEY], [f"bench-1 {KEY}"], "allow", {})


def test_a_board_outside_the_roster_is_told_how_to_get_in() -> None:
    reason = why_refused("stranger", [KEY], ["bench-1", "SHA256:" + "b" * 43], "allow", {"stranger": BOARD})
    assert "'stranger'" in reason
    assert KEY in reason
    assert reason.startswith("not-in-roster: ")
    assert "not known here" in (why_refused("stranger", [], ["bench-1"], "allow", {}) or "")
    keys = [f"SHA256:{letter * 43}" for letter in "fdec"]
    assert ", ".join(sorted(keys)) in (why_refused("stranger", keys, ["bench-1"], "allow", {}) or "")


def test_without_a_roster_the_remembered_boards_are_known() -> None:
    assert why_refused("new", [KEY], None, "allow", {}) is None
    assert why_refused("known", [KEY], None, "refuse", {"known": BOARD}) is None
    assert "new-board: This board was never provisioned" in (
        why_refused("new", ["SHA256:new"], None, "refuse", {"known": BOARD}) or ""
    )


def test_another_host_key_makes_a_board_another_one() -> None:
    for keys in (["SHA256:other"], [KEY, "SHA256:other"]):
        assert "changed-board: " in (why_refused("known", keys, None, "refuse", {"known": BOARD}) or "")
        assert why_refused("known", keys, None, "allow", {"known": BOARD}) is None


def test_a_renamed_board_is_known_by_its_key() -> None:
    assert why_refused("today", [KEY], None, "refuse", {"known": BOARD}) is None
    assert "The team knows it as known" in (why_refused("today", [KEY], ["known"], "allow", {"known": BOARD}) or "")


def test_without_a_proven_key_a_known_key_is_of_no_use() -> None:
    for roster in (None, [f"known {KEY}"], [KEY]):
        assert "host-key-unproven: " in (why_refused("known", [], roster, "refuse", {"known": BOARD}) or "")
    assert why_refused("known", [], ["known"], "refuse", {"known": BOARD}) is None
    assert "not-in-roster: " in (why_refused("known", [], ["other", f"x {KEY}"], "refuse", {"known": BOARD}) or "")
    why = why_refused("known", HostKeys(unproven="ssh does not check host keys"), None, "refuse", {"known": BOARD})
    assert "ssh does not check host keys" in (why or "")
    forgotten = {"known": replace(BOARD, host_keys=())}
    assert why_refused("known", [], None, "refuse", forgotten) is None


def test_all_keys_that_ssh_accepts_lie_within_the_pins() -> None:
    other = "SHA256:" + "b" * 43
    assert why_refused("known", [KEY, other], [f"known {KEY}"], "allow", {})
    assert why_refused("known", [KEY, other], [KEY], "allow", {})
    assert why_refused("known", [KEY, other], [f"known {KEY}", other], "allow", {}) is None


def test_keys_that_the_inventory_pins_are_known() -> None:
    pinned = HostKeys((KEY,), pinned=True)
    assert why_refused("never-met", pinned, None, "refuse", {}) is None
    assert why_refused("known", pinned, None, "refuse", {"known": replace(BOARD, host_keys=("SHA256:former",))}) is None


@pytest.mark.parametrize("known", [{}, {"known": BOARD}])
def test_an_empty_roster_admits_nobody(known: dict[str, Remembered]) -> None:
    assert "empty-roster: " in (why_refused("known", [KEY], [], "allow", known) or "")
    assert concerning("known", [KEY], []) == ()


def test_a_fingerprint_that_is_none_is_told() -> None:
    assert misspelt(["board", KEY, "SHA256:short"]) == ["SHA256:short"]
