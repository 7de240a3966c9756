# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boards of a decided fleet take updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from credential_samples import a_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paper_fleet import UPDATE, PaperFleet

from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.decision import Fleet, decide
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.member import Member
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.readiness import Readiness, Terms
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.reasons import READINESS_REASONS
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.stock import Stock, UpdateStock
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.updates import rotations_of, take_updates
from ansible_collections.pelion.mbl.plugins.plugin_utils.fleet.wishes import UpdateWish

KEY = a_key(number=2).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
"""That of the sample certificate."""


@pytest.fixture
def paper() -> PaperFleet:
    return PaperFleet(3, 1)


@pytest.fixture
def terms(paper: PaperFleet) -> Terms:
    """Half a year before the update certificate ends."""
    [update] = stock_of(paper).updates.values()
    assert update.resources
    return Terms(update.resources.not_after - timedelta(days=180))


def stock_of(paper: PaperFleet, *, verify: bool = True) -> Stock:
    """The store has the key, and the directory tells the ids that the boards hold."""
    stock = paper.stock(paper.proven(), in_use=True, verify=verify)
    [(wish, update)] = stock.updates.items()
    assert update.resources
    resources = replace(update.resources, private_key=KEY)
    stock = replace(stock, updates={wish: replace(update, resources=resources)})
    if stock.cloud is None:
        return stock
    ids = {"vendor_id": resources.vendor_id.hex, "device_class": resources.class_id.hex}
    devices = {name: replace(device, **ids) for name, device in stock.cloud.devices.items()}
    return replace(stock, cloud=replace(stock.cloud, devices=devices))


def judged(paper: PaperFleet, members: Sequence[Member], terms: Terms, *, verify: bool = True) -> dict[str, Readiness]:
    fleet, stock = Fleet(members, paper.remembered()), stock_of(paper, verify=verify)
    return take_updates(fleet, stock, decide(fleet, stock), terms)


def remembering(member: Member) -> Member:
    """Its board notes that it has registered with what it holds."""
    return replace(member, board=replace(member.board, remembered={"kcm": str(member.board.kcm_digest)}))


def test_boards_that_are_in_order_are_judged_and_no_others(paper: PaperFleet, terms: Terms) -> None:
    first, second, _third = paper.proven()
    found = judged(paper, [remembering(first), second, paper.fresh()[2]], terms)
    told = {name: (ready.answer, ready.reason and ready.reason.code) for name, ready in found.items()}
    assert told == {first.name: ("yes", None), second.name: ("not_known", "registration-older")}


def test_without_the_cloud_its_word_is_missing(paper: PaperFleet, terms: Terms) -> None:
    found = judged(paper, [remembering(member) for member in paper.proven()], terms, verify=False)
    assert {ready.reason and ready.reason.code for ready in found.values()} == {"cloud-not-asked"}


def test_what_the_store_has_not_got_yet_is_nobody_s_certificate(paper: PaperFleet, terms: Terms) -> None:
    fleet, stock = Fleet([remembering(paper.proven()[0])], paper.remembered()), stock_of(paper)
    for changes in ({"ready": False}, {"resources": None}):
        lacking = {wish: replace(update, **changes) for wish, update in stock.updates.items()}
        found = take_updates(fleet, replace(stock, updates=lacking), decide(fleet, stock), terms)
        assert {ready.reason and ready.reason.code for ready in found.values()} == {"not-our-certificate"}


def in_the_store_as(paper: PaperFleet, name: str) -> tuple[Fleet, Stock]:
    """The wish is for a file with the certificate that the boards hold, and the store has it under that name only."""
    wish = UpdateWish("x9", src="file.c")
    members = [replace(remembering(m), wishes=replace(m.wishes, update=wish)) for m in paper.proven()]
    fleet, stock = Fleet(members, paper.remembered()), stock_of(paper)
    [update] = stock.updates.values()
    assert update.resources
    elsewhere = {wish: UpdateStock(update.resources, stored=(name, update.resources) if name else None)}
    return fleet, replace(stock, updates=elsewhere)


def test_a_certificate_that_the_store_has_under_another_name_is_known(paper: PaperFleet, terms: Terms) -> None:
    fleet, stock = in_the_store_as(paper, "bench-update")
    decision = decide(fleet, stock)
    assert {found.answer for found in take_updates(fleet, stock, decision, terms).values()} == {"yes"}
    [warning] = decision.warnings
    assert "'bench-update', not 'x9'" in warning and "provision_pelion_update_resources" in warning
    assert not list(rotations_of(fleet, stock, terms))


def test_a_certificate_that_only_the_file_has_is_not_said_to_be_unknown(paper: PaperFleet, terms: Terms) -> None:
    """To have it replaced would change nothing."""
    fleet, stock = in_the_store_as(paper, "")
    found = take_updates(fleet, stock, decide(fleet, stock), terms)
    assert {ready.reason and ready.reason.code for ready in found.values()} == {"certificate-not-stored"}
    [reason] = {ready.reason and ready.reason.message(READINESS_REASONS) for ready in found.values()}
    assert reason and "name=x9" in reason and "replace" not in reason


def test_a_rotation_that_must_begin_soon_is_told_for_the_boards_that_hold_the_certificate(
    paper: PaperFleet, terms: Terms
) -> None:
    stock, holding = stock_of(paper), Fleet(paper.proven(), paper.remembered())
    assert not list(rotations_of(holding, stock, terms))
    [text] = rotations_of(holding, stock, replace(terms, now=terms.now + timedelta(days=61)))
    assert repr(UPDATE) in text and "3 boards hold it" in text
    assert not list(rotations_of(Fleet(paper.fresh()), stock, replace(terms, now=terms.now + timedelta(days=61))))
