"""A wallet that somebody only asked a challenge for is nobody's, whatever it holds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from registry.captable import entries
from registry.captable import service as captable
from registry.captable.concentration import HolderKind, concentration_at
from registry.case.kyc_freeze import list_unfrozen
from registry.certificate.service import issue_holding
from registry.court_order.models import OrderScope
from registry.court_order.repository import wallets_of
from registry.court_order.service import receive_order
from registry.investor import wallets
from registry.investor.models import Investor, KycState
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Conflict
from registry.portfolio.holdings import read_portfolio
from tests import court, ledger
from tests import factories as make
from tests.factories import ACTORS, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = ()

STRANGER = b"\7" * 20


@dataclass(frozen=True)
class Claim:
    """An address that holds units, and who has asked for a challenge of it."""

    chain: Ledger
    actor: Actor
    investor: Investor


@pytest.fixture
def claim(desk: Desk) -> Claim:
    chain = ledger.live(desk, 900, 100)
    chain.move(chain.holders[0].wallet.address, STRANGER, 300)
    who = make.buyer(desk)
    wallets.challenge_wallet(
        desk.session, who.actor, who.investor.id, address=STRANGER, message="Sign this."
    )
    return Claim(chain, who.actor, who.investor)


def test_challenge__not_answered__gives_no_holding(desk: Desk, claim: Claim) -> None:
    portfolio = read_portfolio(desk.session, claim.investor.id, claim.chain.chain_id)

    assert portfolio.positions == []


def test_challenge__not_answered__is_certified_to_nobody(desk: Desk, claim: Claim) -> None:
    with pytest.raises(Conflict) as refusal:
        issue_holding(
            desk.session,
            desk.vault,
            claim.actor,
            claim.chain.tokenization.id,
            chain_id=claim.chain.chain_id,
            needed=0,
            write_address=bytes.hex,
        )

    assert refusal.value.code == "holding_empty"


def test_challenge__not_answered__names_no_holder(desk: Desk, claim: Claim) -> None:
    block = captable.block_at(desk.session, claim.chain.chain_id, None)

    holders = entries.list_holders(desk.session, claim.chain.token, block)

    (entry,) = [holder for holder in holders if holder.address == STRANGER]
    assert (entry.balance_units, entry.party) == (300, None)


def test_challenge__of_two_addresses__joins_nobody(desk: Desk, claim: Claim) -> None:
    other = claim.chain.holders[1]
    wallets.challenge_wallet(
        desk.session, other.actor, other.investor.id, address=STRANGER, message="Sign this."
    )
    block = captable.block_at(desk.session, claim.chain.chain_id, None)

    found = concentration_at(desk.session, claim.chain.token, block, HolderKind.PARTY)

    assert found.holders == 3


def test_challenge__not_answered__freezes_nobody_elses_units(desk: Desk, claim: Claim) -> None:
    order = receive_order(
        desk.session,
        ACTORS[Role.REGULATOR],
        court.new_order(OrderScope.PARTY, party_id=claim.investor.party_id),
    )
    claim.investor.kyc_state = KycState.LAPSED
    desk.session.flush()

    assert STRANGER not in wallets_of(desk.session, order)
    assert claim.investor.id not in list_unfrozen(desk.session)
