# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renamed, swapped, flashed anew, copied: a board is known by its host key and its device, not by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.identity import Copied, Identities, Sighting
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.memory import Remembered

A, B, C = (f"SHA256:{letter * 43}" for letter in "abc")
DEVICE_A, DEVICE_B = "a" * 32, "b" * 32
SEEN = "2026-11-01T00:00:00Z"
MEMORY = {
    "a": Remembered((A,), DEVICE_A, "bench", SEEN),
    "b": Remembered((B,), DEVICE_B, "bench", SEEN),
}


def met(*sightings: Sighting, there: str = "", memory: dict[str, Remembered] | None = None) -> Identities:
    return Identities.of(sightings, MEMORY if memory is None else memory, there.split())


def test_a_board_under_its_own_name_is_known_and_nothing_else() -> None:
    found = met(Sighting("a", (A,), DEVICE_A), Sighting("b", (B,), DEVICE_B))
    assert found.is_known("a")
    assert not found.is_changed("a")
    assert (found.renamed, found.copies) == ({}, {})
    assert not met(Sighting("c", (C,))).is_known("c")


def test_a_renamed_board_is_known_by_its_key() -> None:
    found = met(Sighting("x", (A,)), Sighting("b", (B,), DEVICE_B))
    assert found.renamed == {"x": "a"}
    assert found.is_known("x")
    assert found.before("x") == MEMORY["a"]
    assert found.device_id("x") == DEVICE_A
    assert found.copies == {}
    assert found.former_names(["x", "b"]) == ["a"]


def test_of_several_former_names_the_first_one_with_its_device_is_the_board_s() -> None:
    memory = {
        name: Remembered((A,), device, "bench", SEEN) for name, device in (("b-10", "1"), ("b-9", "2"), ("c", "3"))
    }
    assert met(Sighting("x", (A,)), memory=memory).renamed == {"x": "b-9"}
    assert met(Sighting("x", (A,), "3"), memory=memory).renamed == {"x": "c"}
    assert met(Sighting("c", (A,)), memory=memory).renamed == {}, "its name is one of them"


def test_names_that_were_swapped_are_two_renamed_boards() -> None:
    found = met(Sighting("a", (B,), DEVICE_B), Sighting("b", (A,), DEVICE_A))
    assert found.renamed == {"a": "b", "b": "a"}
    assert not found.is_changed("a")
    assert found.copies == {}


def test_a_name_that_went_on_to_another_board_is_two_findings() -> None:
    """x is the board that was called a, and a is a board that was never met."""
    found = met(Sighting("x", (A,), DEVICE_A), Sighting("a", (C,), None))
    assert found.renamed == {"x": "a"}
    assert found.is_changed("a")
    assert found.device_id("a") is None
    assert found.copies == {}


@pytest.mark.parametrize("shown", [(C,), ()])
def test_a_machine_whose_answers_are_of_no_use_takes_no_name(shown: tuple[str, ...]) -> None:
    """x is the board that was called a, and what is called a now says nothing of itself."""
    found = Identities.of([Sighting("x", (A,), DEVICE_A)], MEMORY, ["a", "b", "x"], {"a": shown})
    assert found.renamed == {"x": "a"}
    assert found.copies == {}


def test_a_board_whose_answers_are_of_no_use_keeps_its_name() -> None:
    found = Identities.of([Sighting("x", (A,), DEVICE_A)], MEMORY, ["a", "x"], {"a": (A,)})
    assert found.renamed == {}
    assert found.copies["x"].others == ("a",)


def test_a_name_that_is_gone_and_was_never_proven_to_be_another_keeps_no_device_from_the_board_that_has_it() -> None:
    """Else status would tell of the board, and no run would ever bring it in order."""
    memory = {"a": Remembered((), DEVICE_A, "bench", SEEN)}
    board = Sighting("x", (A,), DEVICE_A)
    assert met(board, memory=memory).now("x", "bench").device_id == DEVICE_A
    assert met(board, there="a x", memory=memory).now("x", "bench").device_id is None
    another = {"a": Remembered((B,), DEVICE_A, "bench", SEEN)}
    assert met(board, memory=another).now("x", "bench").device_id is None
    # Two runs, of which one had begun before it was renamed, have remembered it by both names.
    twice = {name: Remembered((A,), DEVICE_A, "bench", SEEN) for name in "ax"}
    assert met(board, memory=twice).now("x", "bench").device_id == DEVICE_A
    assert met(board, there="a x", memory=twice).now("x", "bench").device_id is None


def test_a_key_that_was_not_proven_with_the_device_makes_nobody_its_owner() -> None:
    """Who checks no host keys has proven the device of a board that was flashed anew, or another one's by that name."""
    memory = {"a": Remembered((A,), DEVICE_B, "bench", SEEN, device_by_name=True)}
    renamed = Sighting("x", (C,), DEVICE_B)
    assert met(renamed, memory=memory).now("x", "bench").device_id == DEVICE_B
    assert met(renamed, there="a x", memory=memory).now("x", "bench").device_id is None
    both = {**memory, "b": Remembered((B,), DEVICE_B, "bench", SEEN)}
    former, owner = Sighting("y", (A,), DEVICE_B), Sighting("b", (B,), DEVICE_B)
    assert set(met(former, owner, memory=both).copies) == {"y"}
    assert met(Sighting("y", (A,), by_name=False), memory=memory).device_id("y") is None


def test_a_machine_that_is_not_the_fleet_s_takes_no_device_by_a_name_alone() -> None:
    """Who checked no host keys has remembered a board by a name that a stranger has now."""
    memory = {"a": Remembered((), DEVICE_A, "bench", SEEN)}
    stranger, board = Sighting("a", (C,), by_name=False), Sighting("x", (A,), DEVICE_A)
    assert met(stranger, board, memory=memory).copies == {}
    assert set(met(replace(stranger, by_name=True), board, memory=memory).copies) == {"a", "x"}
    proven = {"a": Remembered((C,), DEVICE_A, "bench", SEEN)}
    assert set(met(stranger, board, memory=proven).copies) == {"x"}


def test_a_board_that_was_flashed_anew_is_changed() -> None:
    found = met(Sighting("a", (C,)))
    assert found.is_changed("a")
    assert not found.is_known("a")
    assert found.renamed == {}


def test_one_known_key_among_others_does_not_make_a_board_known() -> None:
    """ssh would accept the other one as well."""
    assert met(Sighting("a", (A, C))).is_changed("a")
    assert met(Sighting("x", (A, C))).renamed == {}


def test_without_a_proven_key_the_name_stands_for_the_board() -> None:
    assert met(Sighting("a", ())).is_known("a")
    assert not met(Sighting("x", (), DEVICE_A)).is_known("x")
    forgotten = {"a": Remembered((), DEVICE_A, "bench", SEEN)}
    assert met(Sighting("a", (C,)), memory=forgotten).is_known("a")


@pytest.mark.parametrize("copy", [Sighting("x", (A,), DEVICE_A), Sighting("x", (A,), None)])
def test_boards_with_one_host_key_are_copies_of_each_other(copy: Sighting) -> None:
    both = met(Sighting("a", (A,), DEVICE_A), copy)
    assert both.copies["a"].others == ("x",)
    assert both.copies["x"].others == ("a",)
    assert "ssh host key" in both.copies["x"].shared
    assert both.renamed == {}


def test_all_that_copies_share_is_told_and_the_others_in_their_order() -> None:
    names = ("b-10", "b-9", "a")
    found = met(*(Sighting(name, (A,), DEVICE_A) for name in names))
    assert found.copies["a"] == Copied(("b-9", "b-10"), f"ssh host key and device ID ({DEVICE_A})")
    many = met(*(Sighting(f"m-{number}", (A,)) for number in range(30)))
    assert {len(copied.others) for copied in many.copies.values()} == {10}


def test_a_copy_is_told_when_the_other_board_is_only_remembered_and_there() -> None:
    """In another batch, left out by a limit, or provisioned by another run."""
    assert met(Sighting("x", (A,), DEVICE_A), there="a").copies["x"].others == ("a",)
    assert met(Sighting("x", (C,), DEVICE_A), there="a").copies == {"x": Copied(("a",), f"device ID ({DEVICE_A})")}
    assert met(Sighting("x", (C,), DEVICE_A)).copies == {}


def test_new_boards_with_one_device_are_both_told() -> None:
    found = met(Sighting("x", (B,), "c" * 32), Sighting("y", (C,), "c" * 32), memory={})
    assert set(found.copies) == {"x", "y"}


def test_who_only_says_that_it_is_a_known_board_s_device_hurts_itself() -> None:
    found = met(Sighting("a", (A,), DEVICE_A), Sighting("stranger", (C,), DEVICE_A))
    assert set(found.copies) == {"stranger"}
    assert not found.may_note_device("stranger", DEVICE_A)
    assert found.may_note_device("a", DEVICE_A)
    assert not met(Sighting("stranger", (C,), DEVICE_A)).may_note_device("stranger", DEVICE_A), "a is off"
    unproven = met(Sighting("a", (), DEVICE_A), Sighting("stranger", (C,), DEVICE_A))
    assert set(unproven.copies) == {"a", "stranger"}, "nobody knows which is which"
    forgotten = {"a": Remembered((), DEVICE_A, "bench", SEEN)}
    without = met(Sighting("a", (A,), DEVICE_A), Sighting("stranger", (C,), DEVICE_A), memory=forgotten)
    assert set(without.copies) == {"a", "stranger"}
    known = met(Sighting("a", (A,), DEVICE_B), Sighting("b", (B,), DEVICE_B))
    assert set(known.copies) == {"a"}, "also when it is a known board itself"


def test_only_a_device_that_is_no_other_board_s_is_remembered() -> None:
    found = met(Sighting("a", (A,), DEVICE_A), Sighting("stranger", (C,), DEVICE_A))
    assert found.now("a", "bench").device_id == DEVICE_A
    assert found.now("stranger", "bench").device_id is None
    twice = {**MEMORY, "c": Remembered((C,), DEVICE_A, "bench", SEEN)}
    assert not met(Sighting("a", (A,), DEVICE_A), memory=twice).may_note_device("a", DEVICE_A)
    assert set(met(Sighting("a", (A,), DEVICE_A), there="c", memory=twice).copies) == {"a"}
    assert set(met(Sighting("a", (A,), DEVICE_A), Sighting("c", (C,), DEVICE_A), memory=twice).copies) == {"a", "c"}


def test_a_renamed_board_takes_its_device_along() -> None:
    assert met(Sighting("x", (A,), DEVICE_A)).may_note_device("x", DEVICE_A)
    assert met(Sighting("a", (B,), DEVICE_B), Sighting("b", (A,), DEVICE_A)).may_note_device("a", DEVICE_B)


keys = st.sets(st.sampled_from([A, B, C]), max_size=2).map(lambda found: tuple(sorted(found)))
devices = st.sampled_from([None, DEVICE_A, DEVICE_B])
names = st.sampled_from("abxy")


@given(
    st.dictionaries(names, st.tuples(keys, devices)),
    st.dictionaries(names, st.tuples(keys, devices)),
    st.sets(names),
)
def test_any_fleet_is_told_apart(
    seen: dict[str, tuple[tuple[str, ...], str | None]],
    known: dict[str, tuple[tuple[str, ...], str | None]],
    there: set[str],
) -> None:
    memory = {name: Remembered(each, device, "bench", SEEN) for name, (each, device) in known.items()}
    found = Identities.of([Sighting(name, *each) for name, each in seen.items()], memory, there)
    for name, former in found.renamed.items():
        assert former != name
        assert set(seen[name][0]) <= set(memory[former].host_keys)
    for name, copied in found.copies.items():
        assert name not in copied.others
        assert set(copied.others) <= set(seen) | there
        assert copied.shared
    shown = [key for each, _device in seen.values() for key in each]
    assert {name for name, (each, _device) in seen.items() if any(shown.count(k) > 1 for k in each)} <= set(
        found.copies
    )
