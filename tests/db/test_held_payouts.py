"""Money that a redemption holds, until what holds it has gone."""

from __future__ import annotations

import secrets
from fractions import Fraction

import pytest
from sqlmodel import col, select

from registry.asset.models import AssetState
from registry.captable.models import EventKind
from registry.case import repository as cases
from registry.case.models import Case, CaseKind, CaseState
from registry.document.store import DocumentStore
from registry.investor.models import KycState
from registry.journal.models import JournalEntry
from registry.kernel import migrate
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.onboarding import service as onboarding
from registry.party.models import Party
from registry.redemption import paying
from registry.redemption.models import PayoutState, RedemptionPayout, RedemptionState
from registry.redemption.repository import list_payouts
from registry.title import service as titles
from registry.tokenization.models import TokenizationState
from registry.tokenization.mutations import cancel_title
from tests import cases as make_case
from tests import court, deeds, ledger
from tests import factories as make
from tests import redemptions as stages
from tests.deeds import refusal
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.redemptions import TREASURY, Redeeming

pytestmark = pytest.mark.db


def pay(desk: Desk, payout: RedemptionPayout) -> RedemptionPayout:
    return paying.record_payout(
        desk.session, TREASURY, payout.id, rail_reference=f"R-{secrets.token_hex(4)}"
    )


def held_by_case(desk: Desk, kind: CaseKind) -> tuple[Redeeming, Case, RedemptionPayout]:
    """Have a case with a paper freeze the first holder; pay all others, and close the payouts."""
    chain = ledger.live(desk, *stages.UNITS)
    case = make_case.executing(chain, kind)
    make_case.carry_out(chain, case)
    made = stages.freeze(desk, stages.maturing(desk, chain))
    stages.fund(desk, made.redemption)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    address = chain.holders[0].wallet.address
    for payout in list_payouts(desk.session, made.redemption.id):
        if payout.address == address:
            held = payout
        else:
            pay(desk, payout)
    if held.state == PayoutState.DUE:
        paying.hold_payout(desk.session, TREASURY, held.id, reason="A case froze the wallet.")
    paying.close_payouts(desk.session, made.redemption.id)
    return made, case, held


def release(
    desk: Desk, payout: RedemptionPayout, who: Actor = COMPLIANCE, reason: str = "He came."
) -> RedemptionPayout:
    return paying.release_payout(desk.session, who, payout.id, reason=reason)


def burn(made: Redeeming, kind: CaseKind) -> None:
    """Burn everything; what a case has frozen is freed first, as the token itself does."""
    if kind == CaseKind.FREEZE_UNITS:
        first = made.ledger.holders[0].wallet.address
        made.ledger.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": first, "units": 100})
    for who, units in zip(made.ledger.holders, stages.UNITS, strict=True):
        made.ledger.burn(who.wallet.address, units)


def retire(desk: Desk, made: Redeeming) -> None:
    """Take the asset of a burned token out of the register, and settle."""
    asset = made.ledger.wrapped.asset
    title = titles.title_of_asset(desk.session, asset.id)
    vehicle = desk.session.get_one(Party, made.ledger.wrapped.issuer.investor.party_id)
    deeds.passed(desk, title, deeds.sale(vehicle, make.person(desk), Fraction(1)))
    cancel_title(desk.session, CHECKER, title.id, order_document_id=None, reason="Sold.")
    onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold.")
    paying.settle_redemption(desk.session, made.redemption.id)
    assert asset.state == AssetState.RETIRED


def lift(desk: Desk, made: Redeeming, case: Case) -> None:
    make_case.open_lift(made.ledger, case)
    make_case.approve(desk, case)
    assert make_case.execute(desk, case) == [], "the chain has nothing to do"


@pytest.mark.parametrize("kind", [CaseKind.FREEZE_UNITS, CaseKind.FREEZE_WALLET])
@pytest.mark.parametrize("ended", [False, True])
def test_freeze_by_paper__lifted_after_the_burn__lets_the_money_go(
    desk: Desk, kind: CaseKind, ended: bool
) -> None:
    made, case, held = held_by_case(desk, kind)
    burn(made, kind)
    paying.end_token(desk.session, made.redemption.id)
    if ended:
        retire(desk, made)
    assert made.ledger.tokenization.state == TokenizationState.BURNED
    if held.held_by is not None:
        release(desk, held)
    assert refusal(lambda: pay(desk, held)) == ("payee_frozen", None)

    lift(desk, made, case)

    assert make_case.state(case) == CaseState.LIFTED
    assert not cases.list_freezes(desk.session, kind)
    pay(desk, held)
    assert held.state == PayoutState.PAID


def test_freeze_of_units__burned_while_the_token_still_stands__is_lifted(desk: Desk) -> None:
    made, case, held = held_by_case(desk, CaseKind.FREEZE_UNITS)
    burn(made, CaseKind.FREEZE_UNITS)
    assert made.ledger.tokenization.state == TokenizationState.REDEEMING

    lift(desk, made, case)

    assert make_case.state(case) == CaseState.LIFTED
    pay(desk, held)
    assert held.state == PayoutState.PAID


@pytest.mark.parametrize("kind", [CaseKind.FREEZE_UNITS, CaseKind.FREEZE_WALLET])
def test_lift__approved_before_the_burn__ends_after_it(desk: Desk, kind: CaseKind) -> None:
    made, case, _ = held_by_case(desk, kind)
    make_case.open_lift(made.ledger, case)
    make_case.approve(desk, case)
    make_case.execute(desk, case)
    burn(made, kind)
    paying.end_token(desk.session, made.redemption.id)

    make_case.fail(made.ledger, case)

    assert make_case.state(case) == CaseState.LIFTED


@pytest.mark.parametrize("kind", [CaseKind.FREEZE_UNITS, CaseKind.FREEZE_WALLET])
def test_lift__after_the_burn__waits_for_the_order_that_wants_it(
    desk: Desk, kind: CaseKind
) -> None:
    made, case, _ = held_by_case(desk, kind)
    wanted = (
        court.on_amount(desk, made.ledger, 100)
        if kind == CaseKind.FREEZE_UNITS
        else court.on_wallet(desk, made.ledger.holders[0].wallet.address)
    )
    court.in_force(desk, wanted)
    burn(made, kind)
    paying.end_token(desk.session, made.redemption.id)

    assert make_case.code_of(lambda: make_case.open_lift(made.ledger, case)) == "order_in_force"


def test_lift__after_the_burn__waits_for_the_kyc_of_the_holder(desk: Desk) -> None:
    made, case, _ = held_by_case(desk, CaseKind.FREEZE_WALLET)
    burn(made, CaseKind.FREEZE_WALLET)
    paying.end_token(desk.session, made.redemption.id)
    made.ledger.holders[0].investor.kyc_state = KycState.REVOKED
    desk.session.flush()

    assert make_case.code_of(lambda: make_case.open_lift(made.ledger, case)) == "kyc_holds_freeze"


def held_by_hand(desk: Desk) -> tuple[Redeeming, RedemptionPayout]:
    made = stages.being_paid(desk)
    payout = list_payouts(desk.session, made.redemption.id)[0]
    return made, paying.hold_payout(desk.session, TREASURY, payout.id, reason="No account.")


def test_held_by_hand__is_paid_once_another_person_has_released_it(desk: Desk) -> None:
    made, held = held_by_hand(desk)
    assert held.held_by == TREASURY.subject
    both = Actor(TREASURY.subject, frozenset({Role.TREASURY, Role.COMPLIANCE}))
    assert refusal(lambda: pay(desk, held)) == ("payout_held_by_person", None)
    assert refusal(lambda: release(desk, held, both)) == ("checker_is_maker", "APR-01")
    assert refusal(lambda: release(desk, held, reason=" ")) == ("reason_missing", None)
    assert refusal(lambda: pay(desk, held)) == ("payout_held_by_person", None)

    release(desk, held)

    assert {held.state: held.reason} == {PayoutState.DUE: None}
    [entry] = desk.session.exec(
        select(JournalEntry).where(col(JournalEntry.act) == "redemption_payout_released")
    ).all()
    assert (entry.actor, entry.facts["payout"]) == (COMPLIANCE.subject, str(held.id))
    assert entry.facts["reason"] == "He came."
    assert refusal(lambda: paying.close_payouts(desk.session, made.redemption.id)) == (
        "payouts_due",
        None,
    )
    pay(desk, held)
    assert refusal(lambda: release(desk, held)) == ("payout_settled", None)


@pytest.mark.parametrize("ended", [False, True])
def test_held_by_hand__released_after_the_payouts_were_closed__can_be_paid_or_held_again(
    desk: Desk, ended: bool
) -> None:
    made, held = held_by_hand(desk)
    for payout in list_payouts(desk.session, made.redemption.id, state=PayoutState.DUE):
        pay(desk, payout)
    paying.close_payouts(desk.session, made.redemption.id)
    if ended:
        for who, units in zip(made.ledger.holders, stages.UNITS, strict=True):
            made.ledger.burn(who.wallet.address, units)
        paying.end_token(desk.session, made.redemption.id)
        retire(desk, made)

    release(desk, held)
    paying.hold_payout(desk.session, TREASURY, held.id, reason="The account is another's.")
    assert refusal(lambda: pay(desk, held)) == ("payout_held_by_person", None)
    release(desk, held)
    pay(desk, held)
    assert held.state == PayoutState.PAID


def test_release__of_what_nobody_holds__is_refused(desk: Desk) -> None:
    made, _, held = held_by_case(desk, CaseKind.FREEZE_UNITS)
    assert (held.state, held.held_by) == (PayoutState.HELD, None)

    assert refusal(lambda: release(desk, held)) == ("payout_not_held", None)
    assert made.redemption.state == RedemptionState.PAID


def test_migration__what_was_held_before__is_held_by_whoever_gave_another_reason(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        _, by_hand = held_by_hand(desk)
        _, _, by_itself = held_by_case(desk, CaseKind.FREEZE_UNITS)
        by_hand_id, by_itself_id = by_hand.id, by_itself.id
    migrate.downgrade(fresh_database, "0063")
    migrate.upgrade(fresh_database)
    with fresh_database.reading() as session:
        assert session.get_one(RedemptionPayout, by_hand_id).held_by == TREASURY.subject
        assert session.get_one(RedemptionPayout, by_itself_id).held_by is None


def test_upload__under_a_retired_asset__is_for_papers_of_courts(desk: Desk) -> None:
    made, _, _ = held_by_case(desk, CaseKind.FREEZE_UNITS)
    burn(made, CaseKind.FREEZE_UNITS)
    paying.end_token(desk.session, made.redemption.id)
    retire(desk, made)
    assert made.redemption.state == RedemptionState.SETTLED

    with pytest.raises(Conflict, match="asset_gone"):
        make.file_document(desk, made.ledger.wrapped.asset, "NEC")
