"""Two people at one moment, on the investors' side: wallets and KYC."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlmodel import Session, select

from registry.document.store import DocumentStore
from registry.investor import wallets
from registry.investor.models import Wallet, WalletState
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.vault import Vault
from registry.kyc import decision
from registry.kyc_standing import service as standing
from tests import factories as make
from tests import kyc
from tests.db.races import meanwhile, together
from tests.factories import Desk

pytestmark = pytest.mark.db

DeskMaker = Callable[[Session], Desk]


@pytest.fixture
def desk_of(vault: Vault, store: DocumentStore) -> DeskMaker:
    return lambda session: Desk(session, vault, store)


def test_wallet__challenged_by_another_while_its_owner_answers__stays_the_owners(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    address = bytes(range(20))
    with fresh_database.transaction() as session:
        (owner, investor), (thief, other) = (make.enrolled(desk_of(session)) for _ in range(2))
        wallets.challenge_wallet(session, owner, investor.id, address=address, challenge="nonce 1")

    with fresh_database.transaction() as session:
        wallet = wallets.open_challenge(session, owner, investor.id, address)
        with meanwhile(
            fresh_database,
            lambda theirs: wallets.challenge_wallet(
                theirs, thief, other.id, address=address, challenge="nonce 2"
            ),
        ) as outcome:
            wallets.accept_proof(session, owner, wallet)
            session.commit()
            with pytest.raises(Conflict, match="wallet_taken"):
                outcome.result()

    with fresh_database.reading() as reader:
        [found] = reader.exec(select(Wallet)).all()
        assert (found.investor_id, found.state) == (investor.id, WalletState.PROVEN)


def test_wallet__answered_while_another_takes_the_challenge_over__is_not_found(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    address = bytes(range(20))
    with fresh_database.transaction() as session:
        (owner, investor), (thief, other) = (make.enrolled(desk_of(session)) for _ in range(2))
        wallets.challenge_wallet(session, owner, investor.id, address=address, challenge="nonce 1")

    with fresh_database.transaction() as session:
        wallets.challenge_wallet(session, thief, other.id, address=address, challenge="nonce 2")
        with meanwhile(
            fresh_database,
            lambda mine: wallets.open_challenge(mine, owner, investor.id, address),
        ) as outcome:
            session.commit()
            with pytest.raises(NotFound, match="wallet"):
                outcome.result()


def test_kyc__decided_twice_at_one_moment__is_decided_once(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        who, investor = make.enrolled(desk)
        make.proven_wallet(desk, who, investor.id)
        review = kyc.recommended(desk, who, investor)
        seen = review.review_sha256 or b""

    outcomes = together(
        fresh_database,
        [
            lambda session: (
                standing.approve_kyc(session, kyc.SECOND_OFFICER, investor.id, seen_sha256=seen).id
            ),
            lambda session: (
                decision.reject_review(
                    session, kyc.SECOND_OFFICER, investor.id, reason="Proscribed"
                ).id
            ),
        ],
    )

    [refusal] = [item for item in outcomes if isinstance(item, Exception)]
    assert isinstance(refusal, Conflict)
    assert refusal.code == "kyc_decided"
