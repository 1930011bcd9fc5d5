"""Wallets in our custody: one for an investor and a chain, good for all that any wallet is."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from registry.case.models import CaseKind
from registry.investor import custody, wallets
from registry.investor.models import CustodialKey, Wallet, WalletState
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.offering import secondary
from registry.offering import service as offerings
from registry.offering.terms import OfferTerms
from registry.operation.models import Operation, OperationKind
from registry.passkey.service import require_fresh
from tests import cases as make_case
from tests import factories as make
from tests import kyc, ledger, sales
from tests.db.races import meanwhile
from tests.factories import COMPLIANCE, Desk

pytestmark = pytest.mark.db

CHAIN_ID = 31337


def custodial(desk: Desk, who: Actor) -> Wallet:
    """Ask for a wallet, and record its key as whoever makes keys would."""
    key = custody.request_wallet(desk.session, who, CHAIN_ID)
    return custody.record_key(
        desk.session, key.id, key_uri=f"file:wallet-{key.id}.json", address=secrets.token_bytes(20)
    )


def links(desk: Desk) -> set[str]:
    """Wallets that are to be linked to an identity."""
    rows = desk.session.exec(
        select(Operation).where(col(Operation.kind) == OperationKind.CREATE_IDENTITY)
    )
    return {row.params["wallet"] for row in rows}


def hex_of(wallet: Wallet) -> str:
    return f"0x{wallet.address.hex()}"


# One for an investor and a chain


def test_request__again__is_the_same_and_unmade_until_its_key_is_recorded(desk: Desk) -> None:
    who, investor = make.enrolled(desk)

    key = custody.request_wallet(desk.session, who, CHAIN_ID)
    again = custody.request_wallet(desk.session, who, CHAIN_ID)
    elsewhere = custody.request_wallet(desk.session, who, 10)

    assert again.id == key.id
    assert elsewhere.id != key.id
    assert custody.list_unmade(desk.session, CHAIN_ID, limit=9) == [key.id]
    assert wallets.list_wallets(desk.session, investor.id) == []


def test_record_key__twice__makes_one_wallet_that_needs_no_proof(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    key = custody.request_wallet(desk.session, who, CHAIN_ID)
    address = secrets.token_bytes(20)

    for _ in range(2):
        custody.record_key(desk.session, key.id, key_uri="file:w.json", address=address)

    [wallet] = wallets.list_wallets(desk.session, investor.id)
    assert (wallet.state, wallet.is_custodial) == (WalletState.PROVEN, True)
    assert (wallet.address, wallet.challenge) == (address, None)
    assert custody.list_unmade(desk.session, CHAIN_ID, limit=9) == []
    assert custody.key_of(desk.session, wallet).key_uri == "file:w.json"


def test_request__given_up_again_and_again__ends_and_ones_own_wallet_does_not(desk: Desk) -> None:
    """A key is kept for ever, whatever became of its wallet."""
    who, investor = make.enrolled(desk)
    for _ in range(wallets.MOST_WALLETS):
        wallets.retire_wallet(desk.session, custodial(desk, who).id)

    with pytest.raises(Conflict, match="too_many_wallets"):
        custody.request_wallet(desk.session, who, CHAIN_ID)
    assert make.proven_wallet(desk, who, investor.id).state == WalletState.PROVEN


def test_request__not_enrolled__is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="investor"):
        custody.request_wallet(desk.session, make.actor(), CHAIN_ID)


def test_request__twice_at_one_moment__is_one(fresh_database: Database, desk: Desk) -> None:
    with fresh_database.transaction() as session:
        who, _ = make.enrolled(Desk(session, desk.vault, desk.store))

    with fresh_database.transaction() as session:
        first = custody.request_wallet(session, who, CHAIN_ID).id
        with meanwhile(
            fresh_database, lambda theirs: custody.request_wallet(theirs, who, CHAIN_ID).id
        ) as outcome:
            session.commit()
            assert outcome.result() == first


@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO custodial_key (id, recorded_at, investor_id, chain_id)"
            " SELECT gen_random_uuid(), now(), investor_id, chain_id FROM custodial_key"
        ),
        "UPDATE custodial_key SET key_uri = NULL",
        "UPDATE custodial_key SET wallet_id = NULL",
        "UPDATE wallet SET challenge = 'Sign this.'",
        "UPDATE wallet SET is_custodial = false",
    ],
)
def test_database__custodial_wallet_made_wrong__is_refused(desk: Desk, statement: str) -> None:
    custodial(desk, make.enrolled(desk)[0])

    with pytest.raises(IntegrityError):
        desk.session.connection().execute(text(statement))


def test_challenge__of_a_custodial_wallet__is_refused_to_everybody(desk: Desk) -> None:
    (owner, mine), (thief, theirs) = make.enrolled(desk), make.enrolled(desk)
    wallet = custodial(desk, owner)

    for who, investor, code in ((owner, mine, "wallet_proven"), (thief, theirs, "wallet_taken")):
        with pytest.raises(Conflict, match=code):
            wallets.challenge_wallet(
                desk.session, who, investor.id, address=wallet.address, message="Sign this."
            )


# What it is good for


def test_custodial_wallet__kyc_order_and_bank_money__is_minted_to(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    wallet = custodial(desk, who)
    kyc.passed(desk, who, investor)
    assert links(desk) == {hex_of(wallet)}
    wallet.identity = secrets.token_bytes(20)  # as the chain does
    buyer = make.Buyer(who, investor, wallet)
    sale = sales.offering(desk, sales.wrapped_apartment(desk), minimum_units=5)

    sales.pay(desk, sales.order(desk, sale, buyer, 10))
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    minted = make_case.planned(desk, OperationKind.MINT)
    assert (str(wallet.id), "10") in {(op.params["wallet_id"], op.params["units"]) for op in minted}


def test_recovery__from_custody_to_a_wallet_of_ones_own__ends_the_key(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    holder = chain.holders[0]
    kept_by_us(desk, holder.wallet)

    case = make_case.executing(chain, CaseKind.RECOVERY)
    make_case.carry_out(chain, case)

    assert case.counterparty is not None
    assert make_case.held(chain, case.counterparty) == 600
    with pytest.raises(Conflict, match="wallet_retired"):
        custody.key_of(desk.session, holder.wallet)
    assert custody.find_live(desk.session, holder.investor.id, CHAIN_ID) is None
    assert custody.request_wallet(desk.session, holder.actor, CHAIN_ID).wallet_id is None


def test_recovery__of_a_lost_wallet__may_go_into_custody(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    new = custodial(desk, chain.holders[0].actor)

    case = make_case.executing(chain, CaseKind.RECOVERY, counterparty=new.address)
    make_case.carry_out(chain, case)

    assert make_case.held(chain, new.address) == 600


def test_freeze__of_a_custodial_wallet__is_as_of_any(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    kept_by_us(desk, chain.holders[0].wallet)

    make_case.executing(chain, CaseKind.FREEZE_WALLET)

    [act] = make_case.planned(desk, OperationKind.CASE_ACT)
    assert act.params["wallet"] == hex_of(chain.holders[0].wallet)


def kept_by_us(desk: Desk, wallet: Wallet) -> None:
    """Put a wallet that holds units into our custody."""
    wallet.is_custodial, wallet.challenge = True, None
    key = CustodialKey(
        investor_id=wallet.investor_id, chain_id=CHAIN_ID, wallet_id=wallet.id,
        key_uri="file:kept.json", made_at=now(),
    )  # fmt: skip
    desk.session.add(key)
    desk.session.flush()


# Several wallets to one identity


def test_wallet__proven_after_the_kyc__is_linked_as_well(desk: Desk) -> None:
    buyer = make.buyer(desk)

    second = make.proven_wallet(desk, buyer.actor, buyer.investor.id)
    third = custodial(desk, buyer.actor)

    assert links(desk) == {hex_of(buyer.wallet), hex_of(second), hex_of(third)}


def test_wallets__proven_before_the_kyc__are_linked_by_it(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    both = {hex_of(make.proven_wallet(desk, who, investor.id)), hex_of(custodial(desk, who))}
    assert links(desk) == set()

    kyc.passed(desk, who, investor)

    assert links(desk) == both


def test_wallet__proven_while_the_kyc_is_not_in_force__is_not_linked(desk: Desk) -> None:
    buyer = make.buyer(desk)
    buyer.investor.kyc_valid_until = now() - timedelta(seconds=1)
    desk.session.flush()

    make.proven_wallet(desk, buyer.actor, buyer.investor.id)

    assert links(desk) == {hex_of(buyer.wallet)}


def test_database__one_address_of_two_investors__is_refused(desk: Desk) -> None:
    first, second = make.buyer(desk), make.buyer(desk)
    second.wallet.address = first.wallet.address

    with pytest.raises(IntegrityError, match="address"):
        desk.session.flush()


# Who confirms


def is_fresh(desk: Desk, signed_in_at: datetime | None) -> bool:
    try:
        require_fresh(desk.session, Actor("somebody", frozenset(), signed_in_at=signed_in_at))
    except Forbidden as refusal:
        return refusal.code != "sign_in_not_recent"
    return True


def test_require_fresh__token_of_an_issuer__tells_when_somebody_signed_in(desk: Desk) -> None:
    assert is_fresh(desk, now() - timedelta(minutes=14))
    assert not is_fresh(desk, now() - timedelta(minutes=16))
    assert not is_fresh(desk, None)


# What a wrapper keeps


def test_mint__of_what_nobody_bought__goes_to_a_wallet_whose_key_the_wrapper_holds(
    desk: Desk,
) -> None:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped, offered_units=10)
    issuer, first = wrapped.issuer, wrapped.issuer.wallet
    custodial(desk, issuer.actor).identity = secrets.token_bytes(20)
    own = make.proven_wallet(desk, issuer.actor, issuer.investor.id)
    own.identity, first.state = secrets.token_bytes(20), WalletState.RETIRED
    desk.session.flush()
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk), units=10))

    planned = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    [rest] = [each for each in planned if each.subject_kind == "tokenization"]
    assert rest.params["wallet_id"] == str(own.id)


def test_sale__of_what_lies_in_custody__is_refused_and_says_where_it_lies(desk: Desk) -> None:
    chain = ledger.live(desk, 10)
    kept = custodial(desk, chain.wrapped.issuer.actor)
    kept.identity = secrets.token_bytes(20)
    desk.session.flush()
    chain.register(kept.address)
    chain.move(chain.holders[0].wallet.address, kept.address, 7)

    with pytest.raises(Invalid, match="offer_exceeds_held") as refused:
        secondary.open_secondary(
            desk.session,
            COMPLIANCE,
            chain.tokenization.id,
            OfferTerms(offered_units=5),
            price_paisa=1,
        )

    assert refused.value.remedy is not None
    assert refused.value.remedy.startswith("7 lie in its wallet in our custody")
