"""Claims of one person of which none was sent yet: the newest is made, and stops nobody else's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chain.node.client import hex_of
from chain.sending.remedies import cancel_planned, retry
from registry.investor import wallets
from registry.investor.models import Investor
from registry.investor.service import KYC_TOPIC
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kyc_standing import service as standing
from registry.operation.models import Operation, OperationState
from tests import factories, kyc
from tests.chain.market import FIRST, SECOND, desk
from tests.chain.world import World, address_of, ask, key_of

pytestmark = pytest.mark.chain

PERSON = Actor("cli:amna", frozenset({Role.OPERATIONS}))


@pytest.fixture
def world(platform: World) -> World:
    return replace(platform, batch_rows=100)


def approved(
    world: World, folder: Path, who: Actor, investor: Investor, *, days: int
) -> tuple[UUID, datetime]:
    """Have KYC approved, of which nothing is sent; return the claim's operation and its end."""
    valid_until = now() + timedelta(days=days)
    with world.database.transaction() as session:
        at = desk(session, folder)
        review = kyc.recommended(at, who, session.get_one(Investor, investor.id))
        return kyc.approve(at, review, valid_until=valid_until).id, valid_until


def enrolled(world: World, folder: Path, person: int) -> tuple[Actor, Investor]:
    with world.database.transaction() as session:
        at = desk(session, folder)
        who, investor = factories.enrolled(at)
        factories.proven_wallet(at, who, investor.id, address=address_of(key_of(person)))
        session.flush()
        session.expunge_all()
        return who, investor


def revoke(world: World, investor: Investor) -> None:
    with world.database.transaction() as session:
        standing.revoke_kyc(session, kyc.SECOND_OFFICER, investor.id, reason="He lied.")


def twice_approved(world: World, folder: Path) -> tuple[UUID, UUID, datetime]:
    """Approve FIRST, revoke that and approve anew; both claims are planned."""
    who, investor = enrolled(world, folder, FIRST)
    older, _ = approved(world, folder, who, investor, days=100)
    revoke(world, investor)
    newer, valid_until = approved(world, folder, who, investor, days=300)
    return older, newer, valid_until


def found(world: World, operation_id: UUID) -> Operation:
    (row,) = [each for each in world.operations() if each.id == operation_id]
    return row


def standing_claim(world: World, person: int) -> Any:
    with world.database.reading() as session:
        wallet = wallets.find_wallet(session, address_of(key_of(person)))
        assert wallet is not None
        assert wallet.identity is not None
        identity = hex_of(wallet.identity)
    store, issuer = world.place("ClaimStore"), world.place("ClaimIssuer")
    return ask(world.client, "ClaimStore", store, "claimOf", issuer, identity, KYC_TOPIC)


def assert_newest_stands(world: World, newer: UUID, valid_until: datetime) -> None:
    claim = found(world, newer)
    assert claim.state == OperationState.FINAL, claim.problem or claim.waits_for
    _, expires_at, _, _, evidence = standing_claim(world, FIRST)
    assert expires_at == int(valid_until.timestamp())
    assert evidence == bytes.fromhex(claim.params["evidence_sha256"])[:16]


def assert_superseded(world: World, operation_id: UUID) -> None:
    claim = found(world, operation_id)
    assert claim.state == OperationState.REFUSED, claim.waits_for
    assert claim.problem is not None
    assert claim.problem["code"] == "claim_superseded"


def test_claims__two_of_one_person_are_planned__newest_is_made_and_the_others_go(
    world: World, tmp_path: Path
) -> None:
    older, newer, valid_until = twice_approved(world, tmp_path)
    other, _ = approved(world, tmp_path, *enrolled(world, tmp_path, SECOND), days=200)
    world.settle()

    assert found(world, other).state == OperationState.FINAL, found(world, other).waits_for
    assert_newest_stands(world, newer, valid_until)
    assert_superseded(world, older)


def test_claim__superseded_and_retried__is_refused_and_the_newer_one_stands(
    world: World, tmp_path: Path
) -> None:
    older, newer, valid_until = twice_approved(world, tmp_path)
    with world.database.transaction() as session:
        assert cancel_planned(session, PERSON, older, reason="It is the old one.")
    world.settle()
    assert_newest_stands(world, newer, valid_until)

    world.node.rpc("evm_increaseTime", 5)
    world.node.mine()
    with world.database.transaction() as session:
        anew = retry(session, PERSON, older).id
    world.settle()

    assert_superseded(world, anew)
    assert_newest_stands(world, newer, valid_until)


def test_claim__newest_and_cancelled__is_made_when_it_is_retried(
    world: World, tmp_path: Path
) -> None:
    _, newer, valid_until = twice_approved(world, tmp_path)
    with world.database.transaction() as session:
        assert cancel_planned(session, PERSON, newer, reason="By mistake.")
    world.settle()
    with world.database.transaction() as session:
        anew = retry(session, PERSON, newer).id
    world.settle()

    assert_newest_stands(world, anew, valid_until)
