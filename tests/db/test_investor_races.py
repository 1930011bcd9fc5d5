"""Two people at one moment, on the investors' side: wallets and KYC."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlmodel import Session, select

from registry.document.store import DocumentStore
from registry.investor import wallets
from registry.investor.models import Wallet, WalletState
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.kyc import decision
from registry.kyc_standing import service as standing
from registry.operation import service as operations
from registry.wallet_removal import service as wallet_removal
from tests import factories as make
from tests import kyc
from tests.db.races import meanwhile, together
from tests.factories import Desk

pytestmark = pytest.mark.db

DeskMaker = Callable[[Session], Desk]


@pytest.fixture
def desk_of(vault: Vault, store: DocumentStore) -> DeskMaker:
    return lambda session: Desk(session, vault, store)


def test_wallet__two_prove_it_at_one_moment__belongs_to_the_first(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    address = bytes(range(20))
    with fresh_database.transaction() as session:
        (first, investor), (second, other) = (make.enrolled(desk_of(session)) for _ in range(2))
        for who, asking in ((first, investor), (second, other)):
            wallets.challenge_wallet(session, who, asking.id, address=address, message="nonce")

    def prove(theirs: Session) -> Wallet:
        challenge = wallets.open_challenge(theirs, second, other.id, address)
        return wallets.accept_proof(theirs, second, challenge)

    with fresh_database.transaction() as session:
        challenge = wallets.open_challenge(session, first, investor.id, address)
        wallets.accept_proof(session, first, challenge)
        with meanwhile(fresh_database, prove) as outcome:
            session.commit()
            with pytest.raises(Conflict, match="wallet_taken"):
                outcome.result()

    with fresh_database.reading() as reader:
        [found] = reader.exec(select(Wallet)).all()
        assert (found.investor_id, found.state) == (investor.id, WalletState.PROVEN)


def test_wallet__challenged_twice_at_one_moment__has_the_later_challenge(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    address = bytes(range(20))
    with fresh_database.transaction() as session:
        who, investor = make.enrolled(desk_of(session))

    with fresh_database.transaction() as session:
        wallets.challenge_wallet(session, who, investor.id, address=address, message="nonce 1")
        with meanwhile(
            fresh_database,
            lambda mine: wallets.challenge_wallet(
                mine, who, investor.id, address=address, message="nonce 2"
            ),
        ) as outcome:
            session.commit()
            outcome.result()

    with fresh_database.reading() as reader:
        assert wallets.find_challenge(reader, who, investor.id, address) == "nonce 2"


def test_wallet__given_up_while_the_kyc_is_approved__is_not_linked(
    fresh_database: Database, desk_of: DeskMaker
) -> None:
    with fresh_database.transaction() as session:
        desk = desk_of(session)
        who, investor = make.enrolled(desk)
        lost, kept = (make.proven_wallet(desk, who, investor.id).address for _ in range(2))
        seen = kyc.recommended(desk, who, investor).review_sha256 or b""

    with fresh_database.transaction() as session:
        wallet_removal.remove_wallet(session, who, investor.id, lost)
        with meanwhile(
            fresh_database,
            lambda theirs: (
                standing.approve_kyc(theirs, kyc.SECOND_OFFICER, investor.id, seen_sha256=seen).id
            ),
        ) as outcome:
            session.commit()
            outcome.result()

    with fresh_database.reading() as reader:
        assert operations.find_by_key(reader, f"create_identity:0x{kept.hex()}")
        assert operations.find_by_key(reader, f"create_identity:0x{lost.hex()}") is None


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
