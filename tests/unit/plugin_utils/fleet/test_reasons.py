# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each code: what yields it, and that its facts make its sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from string import Formatter
from types import SimpleNamespace
from typing import Any

import pytest
from paper_fleet import KEY, WISHES, PaperFleet

from ansible_collections.pelion.mbl.plugins.action.pelion_fleet_check import ActionModule as Check
from ansible_collections.pelion.mbl.plugins.plugin_utils.board import kcm
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.answers import Restart
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.board import record_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.client_log import ClientLog
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.errors import BoardError
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.inspection import Inspection
from ansible_collections.pelion.mbl.plugins.plugin_utils.board.items import ITEMS, Items
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.api_answers import Device
from ansible_collections.pelion.mbl.plugins.plugin_utils.cloud.errors import ApiError
from ansible_collections.pelion.mbl.plugins.plugin_utils.credentials.rules import CredentialError
from ansible_collections.pelion.mbl.plugins.plugin_utils.errors import PelionError
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.answers import Answer, Unasked, answer_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.deciding import require_one_team
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.decision import Decision, Fleet, decide
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.host_keys import HostKeys
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.injecting import bring_to
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.part import Part
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.proof import Claim, prove
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import (
    FLEET_REASONS,
    WORK_REASONS,
    failure,
    reason_of,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.stock import (
    DeveloperStock,
    Stock,
    UpdateStock,
)
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import UpdateWish
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.work import NOT_IN_STORE, differences
from ansible_collections.pelion.mbl.plugins.plugin_utils.reasons import Kind, Reason
from ansible_collections.pelion.mbl.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.pelion.mbl.plugins.plugin_utils.task.role_variables import unknown_variable, wishes_of
from ansible_collections.pelion.mbl.plugins.plugin_utils.team.update_keeper import NotRenewableError

CERTIFICATES = 2
FLEET = PaperFleet(200, CERTIFICATES)
"""Two full certificates, and no more for the account."""
FRESH = Inspection(has_utility=True)
KEYS = HostKeys((KEY,))
NEWCOMER = Member("new", WISHES, FRESH, KEYS)
[HOLDER, *_OTHERS] = FLEET.proven()
STOCK = FLEET.stock([NEWCOMER, HOLDER], in_use=True)
CLOUD = STOCK.cloud
assert CLOUD


def wishing(member: Member, **changes: Any) -> Member:
    return replace(member, wishes=replace(member.wishes, **changes))


def holding(member: Member, **changes: Any) -> Member:
    return replace(member, board=replace(member.board, **changes))


def named(name: str, **changes: Any) -> UpdateWish:
    return UpdateWish(name, **changes)


def refused(*members: Member, stock: Stock | None = None) -> list[Reason]:
    """By the decision for these; without ``stock``, by what there is for them."""
    fleet = Fleet(members, FLEET.remembered())
    decision = decide(fleet, stock or FLEET.stock(fleet.admitted, in_use=True))
    return [part.refused for part in decision.parts.values() if part.refused]


def raised(act: Callable[[], Any]) -> list[Reason]:
    with pytest.raises(PelionError) as caught:
        act()
    facts = caught.value.facts
    # A text is not repeated beside itself.
    return [Reason(facts["reason"], facts["reason_facts"] or {"text": str(caught.value)})]


def of(*found: Any) -> list[Reason]:
    return [reason for reason in found if isinstance(reason, Reason)]


def proof(claim: Claim, *others: Claim, **device: Any) -> list[Reason]:
    answer = {"id": claim.device_id, "state": "registered", "ca_id": "1" * 32, **device}
    api: Any = SimpleNamespace(
        developer_certificates=lambda: [SimpleNamespace(fingerprint=str(n) * 64, id=str(n) * 32) for n in (1, 2)],
        devices=lambda query: [Device.from_answer(answer)] if device else [],
    )
    return list(prove(api, (claim, *others), 0).unproven.values())


def unregistered(board: Member, **work: Any) -> list[Reason]:
    restarting: Any = SimpleNamespace(inject=lambda *a, **o: Restart(), reconnect=lambda **o: Restart())
    items: Any = SimpleNamespace(developer_certificate=b"1", update_certificate=b"2", fingerprint="f")
    return raised(
        lambda: bring_to(restarting, board.board, replace(NOT_IN_STORE, **work), items, 5, print, dry_run=False)
    )


def checked(**variables: str) -> list[Reason]:
    action: Any = SimpleNamespace(_task_vars=variables)
    return raised(lambda: Check.take_step(action, {}))


def full(directory: str, **space: Any) -> dict[str, Any]:
    return {directory: {"free_kb": 10, "writable": True, **space}}


A_UUID = "11111111-2222-3333-4444-555555555555"
CLAIM = Claim("a", "a" * 32, "1", "1" * 64, bootstrapped=True, bootstrapped_at="2026-01-01T00:00:00Z")
DAMAGED = holding(HOLDER, status_code=1)
UNKNOWN = replace(STOCK, known_updates={}, updates=dict.fromkeys(STOCK.updates, UpdateStock()))
INACTIVE = replace(
    STOCK,
    cloud=replace(CLOUD, certificates={n: replace(c, active=False) for n, c in CLOUD.certificates.items()}),
)
BROKEN = replace(STOCK, developer=dict.fromkeys(STOCK.developer, DeveloperStock(problem=reason_of(StoreError("x")))))

ROOMY = replace(STOCK, cloud=replace(CLOUD, devices={}))

CASES: dict[str, Callable[[], list[Reason]]] = {
    "discovery": lambda: checked(mbl_discovery_problem="2 boards of 3"),
    "different-teams": lambda: raised(
        lambda: require_one_team({name: Answer(WISHES, {"api_host": name}, FRESH) for name in "ab"})
    ),
    "unknown-variable": lambda: of(unknown_variable(["provision_pelion_rooster"])),
    "wrong-variable": lambda: of(wishes_of({"dev_cert": "a", "update_resources": "b", "new_boards": "ask"})),
    "no-names": lambda: of(wishes_of({})),
    "not-in-roster": lambda: refused(wishing(NEWCOMER, roster=("other",))),
    "empty-roster": lambda: refused(wishing(NEWCOMER, roster=())),
    "host-key-unproven": lambda: refused(
        replace(wishing(NEWCOMER, roster=(KEY,)), host_keys=HostKeys(unproven="ssh does not check host keys"))
    ),
    "new-board": lambda: refused(wishing(NEWCOMER, new_boards="refuse")),
    "changed-board": lambda: refused(replace(wishing(HOLDER, new_boards="refuse"), host_keys=KEYS)),
    "copied": lambda: refused(NEWCOMER, replace(NEWCOMER, name="copy")),
    "no-utility": lambda: refused(holding(NEWCOMER, has_utility=False)),
    "utility-broken": lambda: refused(holding(NEWCOMER, utility_fault="exec format error")),
    "no-space": lambda: refused(holding(NEWCOMER, space=full("/config/user"))),
    "read-only": lambda: refused(holding(NEWCOMER, space=full("/scratch", writable=False))),
    "different-ways": lambda: refused(
        *(wishing(replace(NEWCOMER, name=src, host_keys=HostKeys()), update=named("u", src=src)) for src in "ab"),
        stock=STOCK,
    ),
    "update-wish": lambda: refused(wishing(NEWCOMER, update=named("half", vendor_domain="example.com"))),
    "update-differs": lambda: refused(
        wishing(NEWCOMER, update=replace(WISHES.update, vendor_id=A_UUID, class_id=A_UUID))
    ),
    "update-not-renewed": lambda: [reason_of(NotRenewableError("The manifest tool makes the next one."))],
    "update-unknown": lambda: refused(HOLDER, stock=UNKNOWN),
    "no-key-made": lambda: refused(HOLDER, NEWCOMER, stock=UNKNOWN)[1:],
    "would-ignore-certificate": lambda: refused(wishing(HOLDER, dev_cert="bnech")),
    "bootstrapped": lambda: refused(wishing(HOLDER, dev_cert="bench-02", spread=False), stock=ROOMY),
    "certificate-inactive": lambda: refused(DAMAGED, stock=INACTIVE),
    "no-certificate": lambda: refused(wishing(NEWCOMER, dev_cert="bnech", create=False)),
    "no-room-create": lambda: refused(wishing(NEWCOMER, create=False)),
    "no-room-account": lambda: refused(NEWCOMER),
    "no-room-spread": lambda: refused(wishing(NEWCOMER, dev_cert="bench-01", spread=False)),
    "not-registered": lambda: proof(CLAIM, state="deregistered"),
    "not-in-directory": lambda: proof(CLAIM),
    "other-certificate": lambda: proof(CLAIM, ca_id="2" * 32),
    "no-new-bootstrap": lambda: proof(CLAIM, bootstrapped_timestamp=CLAIM.bootstrapped_at),
    "injected-not-registered": lambda: unregistered(NEWCOMER),
    "reconnected-not-registered": lambda: unregistered(HOLDER, reasons=(), reconnect=True),
    "bad-answer": lambda: [odd.problem for odd in map(answer_of, ODD_ANSWERS) if isinstance(odd, Unasked)],
    "store": lambda: refused(HOLDER, stock=BROKEN),
    "cloud": lambda: [reason_of(ApiError("The API did not answer."))],
    "credentials": lambda: [reason_of(CredentialError("URI", "bench", "scheme", "is not coaps"))],
}
ITEMS_HELD = Items({name: name.encode() for name in ITEMS})
DEVICE_ID = FLEET.ids[0]


def differing(**changes: Any) -> list[Reason]:
    board = Inspection(has_utility=True, files=tuple(kcm.file_name(name) for name in kcm.FACTORY_ITEMS), status_code=0)
    return differences(replace(board, **changes), ITEMS_HELD)


def reconnecting(**changes: Any) -> list[Reason]:
    stock = FLEET.stock([HOLDER], in_use=True)
    cloud = replace(CLOUD, **changes) if changes else CLOUD
    decision = decide(Fleet([HOLDER]), replace(stock, cloud=cloud))
    return [part.reconnect for part in decision.parts.values() if part.reconnect]


def without_id() -> list[Reason]:
    decision = decide(Fleet([holding(HOLDER, log=ClientLog(True))]), FLEET.stock([HOLDER], in_use=True))
    return [part.reconnect for part in decision.parts.values() if part.reconnect]


BY_ANOTHER = {"record": {**record_of(ITEMS_HELD), "kcm": "d1"}, "kcm_digest": "d2"}
WORK_CASES: dict[str, Callable[[], list[Reason]]] = {
    "holds-nothing": lambda: differing(files=()),
    "no-record": differing,
    "other-injected": lambda: differing(record={"fingerprint": "other"}),
    "kcm-changed": lambda: differing(**BY_ANOTHER),
    "damaged-items": lambda: differing(damaged=("mbed.Manufacturer (BACKUP)",)),
    "lacks-certificate": differing,
    "holds-other-certificate": lambda: differences(HOLDER.board, ITEMS_HELD),
    "lacks-items": lambda: differing(files=differing_files()),
    "status-not-good": lambda: differing(status_code=1, status="Item does not exist"),
    "bootstrapped-with-other": lambda: differences(HOLDER.board, ITEMS_HELD),
    "not-in-store": lambda: list(NOT_IN_STORE.reasons),
    "no-device-id": without_id,
    "no-device": lambda: reconnecting(devices={}),
    "device-state": lambda: reconnecting(devices={DEVICE_ID: replace(CLOUD.devices[DEVICE_ID], state="bootstrapped")}),
}


def differing_files() -> tuple[str, ...]:
    """Of a board that lacks two items."""
    return tuple(kcm.file_name(name) for name in kcm.FACTORY_ITEMS[2:])


def fields(template: str | None) -> set[str]:
    return {name for _text, name, _spec, _conversion in Formatter().parse(template or "") if name}


@pytest.mark.parametrize("code", FLEET_REASONS)
def test_each_code_is_yielded_and_its_facts_make_its_sentences(code: str) -> None:
    reasons = CASES[code]()
    assert {reason.code for reason in reasons} == {code}
    for reason in reasons:
        assert Reason.from_json(json.loads(json.dumps(reason.to_json()))) == reason
        message = f"{reason.text(FLEET_REASONS)} {reason.next_step(FLEET_REASONS)}".rstrip()
        assert reason.message(FLEET_REASONS) == message
        assert reason.common_message(FLEET_REASONS)
        error = failure(reason)
        facts = {name: fact for name, fact in reason.facts.items() if name != "text"}
        assert (str(error), error.facts) == (message, {"reason": code, "reason_facts": facts})


@pytest.mark.parametrize("code", WORK_REASONS)
def test_each_code_of_work_is_yielded_and_its_facts_make_its_text(code: str) -> None:
    [reason] = [reason for reason in WORK_CASES[code]() if reason.code == code][:1]
    assert reason.text(WORK_REASONS)
    assert Reason.from_json(reason.to_json()) == reason


@pytest.mark.parametrize("kind", [kind for kind in FLEET_REASONS.values() if kind.common], ids=lambda kind: kind.text)
def test_what_is_said_of_many_boards_says_nothing_of_one(kind: Kind) -> None:
    assert fields(kind.common) <= {"team_store"}
    assert not fields(kind.next_step)


def test_codes_are_short_and_of_one_table() -> None:
    assert all(re.fullmatch("[a-z]+(-[a-z]+){0,3}", code) for code in (*FLEET_REASONS, *WORK_REASONS))
    assert not set(FLEET_REASONS) & set(WORK_REASONS)


def test_200_boards_outside_the_roster_have_one_code_and_are_told_of_once() -> None:
    strangers = [replace(m, wishes=replace(m.wishes, roster=("other",)), host_keys=HostKeys()) for m in FLEET.fresh()]
    decision = FLEET.decide(strangers, in_use=False)
    assert len(decision.parts) == 200
    assert {part.refused.code for part in decision.parts.values() if part.refused} == {"not-in-roster"}
    said = decision.common_message()
    assert said
    assert said.startswith("All 200 boards: These boards are not in the roster")
    assert "mbed-linux-os" not in said
    assert decision.common_refusal == Reason("not-in-roster", {"host_keys": "not known here"})


def test_refusals_of_two_codes_have_nothing_in_common() -> None:
    strange, unfit = wishing(NEWCOMER, roster=("other",)), holding(replace(NEWCOMER, name="b"), has_utility=False)
    fleet = Fleet([strange, unfit])
    decision = decide(fleet, FLEET.stock(fleet.admitted, in_use=True))
    assert decision.common_refusal is None
    assert decision.common_message() is None


def test_a_refusal_is_common_when_it_is_that_of_all_boards() -> None:
    one = Part(refused=Reason("certificate-inactive", {"dev_cert": "bench"}))
    assert Decision({"a": one}).common_refusal == one.refused
    for decision in (
        Decision({"a": one}, proven={"b": "bench"}),
        Decision({"a": one, "b": Part(dev_cert="bench")}),
        Decision({}),
    ):
        assert decision.common_refusal is None
    for code, one_s, other_s in (
        ("would-ignore-certificate", {"dev_cert": "bnech"}, {"dev_cert": "bnech", "holds": "bench"}),
        ("unknown-variable", {"variable": "v"}, {"variable": "v", "near": "w"}),
        ("wrong-variable", {"text": "one's."}, {"text": "another's."}),
    ):
        differing_parts = {"a": Part(refused=Reason(code, one_s)), "b": Part(refused=Reason(code, other_s))}
        said = str(Decision(differing_parts).common_message())
        assert said.startswith(f"All 2 boards: {FLEET_REASONS[code].common}")


def test_what_another_room_s_error_says_is_told_where_its_facts_do_not() -> None:
    assert reason_of(StoreError("It is damaged.", path="x")) == Reason("store", {"text": "It is damaged."})
    assert reason_of(BoardError.of("bad-answer", "12")) == Reason("bad-answer", {"detail": "12"})
    unforeseen = failure(Reason("different-teams", {"one": "a", "first": "b", "other": "c", "second": "d"}))
    assert str(unforeseen) in reason_of(unforeseen).message(FLEET_REASONS)


def test_a_hint_is_given_where_there_is_its_fact() -> None:
    [reason] = CASES["would-ignore-certificate"]()
    assert "The one held is 'bench-01'" in reason.next_step(FLEET_REASONS)
    assert "It holds" not in Reason(reason.code, {"dev_cert": "x"}).next_step(FLEET_REASONS)


@pytest.mark.parametrize("strange", [None, "not-in-roster", {}, {"code": 1, "facts": {}}, {"code": "a", "facts": []}])
def test_what_is_not_a_reason_is_refused(strange: Any) -> None:
    with pytest.raises(ValueError, match="where a reason should be"):
        Reason.from_json(strange)


def test_answers_and_parts_survive_the_way_from_task_to_task() -> None:
    answer = Answer(HOLDER.wishes, {"verify": True}, HOLDER.board, KEYS)
    assert answer_of(travelled(answer.to_json())) == answer
    unasked = Unasked(Reason("no-names"))
    assert answer_of(travelled(unasked.to_json())) == unasked
    assert answer_of({"failed": True, "msg": "unreachable"}) is None
    for odd in ODD_ANSWERS:
        assert answer_of(travelled(odd)) == Unasked(Reason("bad-answer")), "and the others are decided for"
    for part in (
        Part(refused=Reason("no-names")),
        Part(dev_cert="bench", update_resources="u", reconnect=Reason("device-state", {"state": "bootstrapped"})),
    ):
        assert Part.from_json(travelled(part.to_json())) == part


def odd_answer() -> dict[str, Any]:
    """Of a board whose certificate ends at no time."""
    held = {**(HOLDER.board.update_certificate or {}), "not_before": "2026-01-01T00:00:00Z", "not_after": "950-01-01"}
    board = replace(HOLDER.board, certificates={**HOLDER.board.certificates, kcm.UPDATE_CERTIFICATE: held})
    return Answer(HOLDER.wishes, {}, board).to_json()


ANSWER = Answer(HOLDER.wishes, {}, HOLDER.board).to_json()
ODD_ANSWERS = (
    odd_answer(),
    {**ANSWER, "wishes": {}},
    {**ANSWER, "wishes": {**ANSWER["wishes"], "never_heard_of": 1}},
    {**ANSWER, "found": {**ANSWER["found"], "clock": 10**30}},
)


def travelled(document: dict[str, Any]) -> dict[str, Any]:
    travelled: dict[str, Any] = json.loads(json.dumps(document))
    return travelled


def test_a_misspelt_prefix_is_noticed() -> None:
    for name in ("provison_pelion_dev_cert", "provision_pellion_dev_cert", "provision_pelio_dev_cert"):
        assert unknown_variable([name, "provision_pelion_roster"]) == Reason(
            "unknown-variable", {"variable": name, "near": "provision_pelion_dev_cert"}
        )
    for name in ("mbl_dev_cert", "my_pelion_dev_cert", "provision_pelion_dev_cert", "provision_other_dev_cert"):
        assert unknown_variable([name]) is None


def test_what_is_the_same_of_all_boards_is_said_of_them_all() -> None:
    facts = {"fingerprint": "ab" * 32, "team_store": "/srv/team", "mbl_cli_store": "/srv/old"}
    decision = Decision({name: Part(refused=Reason("update-unknown", facts)) for name in "abcd"})
    said = str(decision.common_message())
    assert said.startswith("All 4 boards: These boards hold update certificates that the team store /srv/team does not")
    assert "This board" not in said and said.endswith("pelion.mbl.import_mbl_cli -e src=/srv/old, then run again.")
    # What names no board keeps its facts.
    inactive = Decision({name: Part(refused=Reason("certificate-inactive", {"dev_cert": "bench"})) for name in "ab"})
    assert str(inactive.common_message()).startswith("All 2 boards: The developer certificate 'bench' is INACTIVE")
