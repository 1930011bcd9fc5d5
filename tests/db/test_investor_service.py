"""Enrolment, wallets and KYC: who may hold, and through which address."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest

from registry.case.receiving import receiving_wallet
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import KycState, WalletState
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.party.models import PartyKind
from registry.party.service import NewParty
from tests import factories as make
from tests.factories import Desk

pytestmark = pytest.mark.db

ADDRESS = bytes(range(20))
IN_A_YEAR = timedelta(days=365)


# Enrolment


def test_enrol__twice__is_refused(desk: Desk) -> None:
    who, _ = make.enrolled(desk)
    new = NewParty(kind=PartyKind.NATURAL, name="Again", cnic="61101-9999999-2")

    with pytest.raises(Conflict, match="investor_exists"):
        investors.enrol_person(desk.session, desk.vault, who, new)


def test_enrol__person_known_to_the_register__is_refused(desk: Desk) -> None:
    new = NewParty(kind=PartyKind.NATURAL, name="Somebody", cnic="61101-9999999-2")
    investors.enrol_person(desk.session, desk.vault, make.actor(Role.INVESTOR), new)

    with pytest.raises(Conflict, match="party_exists"):
        investors.enrol_person(desk.session, desk.vault, make.actor(Role.INVESTOR), new)


def test_enrol_for_company__without_the_role__is_forbidden(desk: Desk) -> None:
    with pytest.raises(Forbidden, match="issuer_role_required"):
        investors.enrol_for_company(desk.session, make.actor(Role.INVESTOR), make.company(desk).id)


def test_enrol_for_company__natural_person__is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="company"):
        investors.enrol_for_company(desk.session, make.actor(Role.ISSUER), make.person(desk).id)


def test_enrol_for_company__somebody_stands_for_it__is_refused(desk: Desk) -> None:
    vehicle = make.company(desk)
    make.issuer(desk, vehicle)

    with pytest.raises(Conflict, match="party_represented"):
        investors.enrol_for_company(desk.session, make.actor(Role.ISSUER), vehicle.id)


# Wallets


def test_wallet__challenge_answered__is_proven(desk: Desk) -> None:
    who, investor = make.enrolled(desk)

    wallet = make.proven_wallet(desk, who, investor.id, address=ADDRESS)

    assert wallet.state == WalletState.PROVEN
    assert wallet.proven_at is not None
    assert wallets.list_wallets(desk.session, investor.id) == [wallet]


def test_wallet__no_challenge__is_not_found(desk: Desk) -> None:
    who, investor = make.enrolled(desk)

    with pytest.raises(NotFound, match="wallet"):
        wallets.open_challenge(desk.session, who, investor.id, ADDRESS)


def test_wallet__challenge_of_another_investor__is_not_found(desk: Desk) -> None:
    (owner, investor), (thief, other) = make.enrolled(desk), make.enrolled(desk)
    wallets.challenge_wallet(desk.session, owner, investor.id, address=ADDRESS, message="nonce 1")

    with pytest.raises(NotFound, match="wallet"):
        wallets.open_challenge(desk.session, thief, other.id, ADDRESS)
    with pytest.raises(NotFound, match="investor"):
        wallets.open_challenge(desk.session, thief, investor.id, ADDRESS)


def test_wallet__challenge_in_the_name_of_another__is_not_found(desk: Desk) -> None:
    (_, investor), (thief, _) = make.enrolled(desk), make.enrolled(desk)

    with pytest.raises(NotFound, match="investor"):
        wallets.challenge_wallet(
            desk.session, thief, investor.id, address=ADDRESS, message="nonce 1"
        )


def test_wallet__unanswered_challenge__blocks_nobody(desk: Desk) -> None:
    (squatter, squatting), (owner, investor) = make.enrolled(desk), make.enrolled(desk)
    wallets.challenge_wallet(
        desk.session, squatter, squatting.id, address=ADDRESS, message="nonce 1"
    )

    wallet = make.proven_wallet(desk, owner, investor.id, address=ADDRESS)

    assert wallet.investor_id == investor.id
    with pytest.raises(Conflict, match="wallet_taken"):
        wallets.open_challenge(desk.session, squatter, squatting.id, ADDRESS)


def test_wallet__asked_again__has_the_newest_challenge_only(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    for nonce in ("nonce 1", "nonce 2"):
        wallets.challenge_wallet(desk.session, who, investor.id, address=ADDRESS, message=nonce)

    challenge = wallets.open_challenge(desk.session, who, investor.id, ADDRESS)

    assert challenge.message == "nonce 2"
    assert wallets.list_wallets(desk.session, investor.id) == []


def test_wallet__challenge_expired__is_refused_and_can_be_asked_again(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    challenge = wallets.challenge_wallet(
        desk.session, who, investor.id, address=ADDRESS, message="nonce 1"
    )
    lifetime = challenge.expires_at - now()
    assert timedelta(minutes=9) < lifetime <= timedelta(minutes=10)
    challenge.expires_at = now() - timedelta(microseconds=1)
    desk.session.flush()

    with pytest.raises(Conflict, match="challenge_expired"):
        wallets.open_challenge(desk.session, who, investor.id, ADDRESS)

    assert make.proven_wallet(desk, who, investor.id, address=ADDRESS).address == ADDRESS


@pytest.mark.parametrize(("mine", "code"), [(True, "wallet_proven"), (False, "wallet_taken")])
def test_wallet__proven__belongs_to_its_investor_for_good(
    desk: Desk, mine: bool, code: str
) -> None:
    who, investor = make.enrolled(desk)
    make.proven_wallet(desk, who, investor.id, address=ADDRESS)
    asker, asking = (who, investor) if mine else make.enrolled(desk)

    with pytest.raises(Conflict) as refusal:
        wallets.challenge_wallet(desk.session, asker, asking.id, address=ADDRESS, message="nonce 2")

    assert refusal.value.code == code


# Standing


@pytest.mark.parametrize(
    ("state", "valid_for", "allowed"),
    [
        (KycState.APPROVED, timedelta(minutes=1), True),
        (KycState.APPROVED, timedelta(0), False),
        (KycState.APPROVED, None, False),
        (KycState.PENDING, timedelta(minutes=1), False),
        (KycState.REJECTED, timedelta(minutes=1), False),
        (KycState.LAPSED, timedelta(minutes=1), False),
        (KycState.REVOKED, timedelta(minutes=1), False),
    ],
)
def test_may_hold__kyc__must_be_approved_and_in_force(
    desk: Desk, state: KycState, valid_for: timedelta | None, allowed: bool
) -> None:
    _, investor = make.enrolled(desk)
    investor.kyc_state = state
    investor.kyc_valid_until = now() + valid_for if valid_for is not None else None

    assert investors.may_hold(investor) == allowed


def test_receiving_wallet__identity_not_on_chain_yet__is_refused(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    wallet = make.proven_wallet(desk, who, investor.id)

    with pytest.raises(Conflict, match="identity_not_ready"):
        receiving_wallet(desk.session, investor.id)

    wallet.identity = secrets.token_bytes(20)
    desk.session.flush()
    assert receiving_wallet(desk.session, investor.id) == wallet


def test_wallet__beyond_the_most__is_refused_and_challenges_do_not_count(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    wallets.challenge_wallet(
        desk.session, who, investor.id, address=secrets.token_bytes(20), message="Sign this."
    )
    last = secrets.token_bytes(20)
    for _ in range(wallets.MOST_WALLETS - 1):
        make.proven_wallet(desk, who, investor.id)
    wallets.challenge_wallet(desk.session, who, investor.id, address=last, message="Sign this.")
    make.proven_wallet(desk, who, investor.id)

    with pytest.raises(Conflict, match="too_many_wallets"):
        make.proven_wallet(desk, who, investor.id)
    with pytest.raises(Conflict, match="too_many_wallets"):
        wallets.accept_proof(
            desk.session, who, wallets.open_challenge(desk.session, who, investor.id, last)
        )


def test_wallet__given_up_by_the_dozen__counts_if_it_may_have_held(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    before = [make.proven_wallet(desk, who, investor.id) for _ in range(wallets.MOST_WALLETS)]
    for wallet in before:
        wallets.retire_wallet(desk.session, wallet.id)
    assert make.proven_wallet(desk, who, investor.id).state == WalletState.PROVEN

    for wallet in before[1:]:
        wallet.identity = secrets.token_bytes(20)
    desk.session.flush()
    with pytest.raises(Conflict, match="too_many_wallets"):
        make.proven_wallet(desk, who, investor.id)
