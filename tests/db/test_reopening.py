"""The end of a pause: who must agree, and what forbids it."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlmodel import Session

from registry.asset.models import AssetState
from registry.kernel.actor import Role
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.mutation.forms import NewMutation, Side
from registry.mutation.models import Initiation, MutationKind
from registry.operation.models import Operation, OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from registry.reopening import service as reopening
from registry.reopening.service import Reopening
from registry.title import service as titles
from registry.title.models import TitleState
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import deeds, ledger, redemptions, standing
from tests import factories as make
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = (600, 400)

SOMEBODY = make.actor(Role.COMPLIANCE)


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    """A live token that somebody paused, as the chain shows it."""
    chain = ledger.live(desk, 600, 400)
    pause(chain)
    return chain


def pause(chain: Ledger) -> Operation:
    tokenizations.pause_token(
        chain.desk.session, SOMEBODY, chain.tokenization.id, reason="Looked into"
    )
    chain.pause()
    found = tokenizations.last_pause(chain.desk.session, chain.tokenization.id)
    assert found is not None
    return found


def agree(chain: Ledger, role: Role) -> Reopening:
    who = COMPLIANCE if role == Role.COMPLIANCE else CHECKER
    return reopening.agree_to_unpause(
        chain.desk.session, who, chain.tokenization.id, role=role, reason="All is well"
    )


def agree_both(chain: Ledger) -> Operation:
    agree(chain, Role.COMPLIANCE)
    done = agree(chain, Role.REGISTRAR_CHECKER)
    assert done.operation is not None
    return done.operation


def confirm(chain: Ledger, operation: Operation) -> Tokenization:
    reopening.confirm_unpause(chain.desk.session, operation, chain.tokenization.id)
    return chain.tokenization


def test_unpause__two_agree__is_planned_after_the_pause_and_live_once_final(chain: Ledger) -> None:
    first = agree(chain, Role.COMPLIANCE)
    assert (first.missing, first.operation) == (Counter({Role.REGISTRAR_CHECKER: 1}), None)

    operation = agree(chain, Role.REGISTRAR_CHECKER).operation

    assert operation is not None
    assert operation.kind == OperationKind.UNPAUSE
    assert chain.tokenization.state == TokenizationState.PAUSED
    assert confirm(chain, operation).state == TokenizationState.LIVE
    assert confirm(chain, operation).state == TokenizationState.LIVE


def test_unpause__who_paused_it__cannot_agree(chain: Ledger) -> None:
    with pytest.raises(Forbidden, match="checker_is_maker"):
        reopening.agree_to_unpause(
            chain.desk.session,
            SOMEBODY,
            chain.tokenization.id,
            role=Role.COMPLIANCE,
            reason="All is well",
        )


def test_unpause__checker_before_compliance__is_told_who_is_missing(chain: Ledger) -> None:
    with pytest.raises(Conflict, match="approvals_missing"):
        agree(chain, Role.REGISTRAR_CHECKER)


def test_unpause__token_that_is_live__is_refused(desk: Desk) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        agree(ledger.live(desk, 10), Role.COMPLIANCE)


def test_unpause__break_is_open__is_refused_for_both(chain: Ledger) -> None:
    agree(chain, Role.COMPLIANCE)
    chain.burn(chain.holders[0].wallet.address, 1)
    reconciliation.run_checks(chain.desk.session, chain.tokenization.id)

    with pytest.raises(Conflict, match="break_open"):
        agree(chain, Role.REGISTRAR_CHECKER)


def test_unpause__redemption_is_approved__is_refused(desk: Desk) -> None:
    redeeming = redemptions.approved(desk)
    chain = redeeming.ledger
    assert chain.tokenization.state == TokenizationState.PAUSED

    with pytest.raises(Conflict, match="redemption_under_way"):
        agree(chain, Role.COMPLIANCE)


def test_unpause__paused_again_since__needs_new_agreement(chain: Ledger) -> None:
    confirm(chain, agree_both(chain))
    second = pause(chain)

    assert agree(chain, Role.COMPLIANCE).operation is None
    done = agree(chain, Role.REGISTRAR_CHECKER).operation
    assert done is not None
    assert done.key == f"unpause:{second.id}"


def assert_paused_again(chain: Ledger, operation: Operation) -> None:
    """The unpause comes onto the chain, and a new pause follows it."""
    before = tokenizations.last_pause(chain.desk.session, chain.tokenization.id)
    chain.unpause()
    assert confirm(chain, operation).state == TokenizationState.PAUSED
    again = tokenizations.last_pause(chain.desk.session, chain.tokenization.id)
    assert again != before
    assert again is not None
    assert again.state == OperationState.PLANNED
    # The same unpause told of once more changes nothing.
    confirm(chain, operation)
    assert tokenizations.last_pause(chain.desk.session, chain.tokenization.id) == again


def test_unpause__redemption_approved_while_it_was_on_its_way__is_paused_again(desk: Desk) -> None:
    redeeming = redemptions.voted(desk)
    chain = redeeming.ledger
    pause(chain)
    operation = agree_both(chain)
    redemptions.approve(desk, redeeming.redemption)
    assert_paused_again(chain, operation)


def test_unpause__break_opened_while_it_was_on_its_way__is_paused_again(chain: Ledger) -> None:
    operation = agree_both(chain)
    chain.burn(chain.holders[0].wallet.address, 1)
    reconciliation.run_checks(chain.desk.session, chain.tokenization.id)
    assert_paused_again(chain, operation)


def test_pause__twice_for_the_same_reason__is_sent_twice(chain: Ledger) -> None:
    first = tokenizations.last_pause(chain.desk.session, chain.tokenization.id)
    confirm(chain, agree_both(chain))

    assert pause(chain).id != (first.id if first else None)


def test_unpause__chain_refused__the_last_asks_once_more(chain: Ledger) -> None:
    refused = agree_both(chain)
    refused.state = OperationState.REFUSED
    chain.desk.session.flush()

    again = agree(chain, Role.REGISTRAR_CHECKER).operation

    assert again is not None
    assert again.id != refused.id


def test_unpause__everybody_agreed__is_still_not_for_others(chain: Ledger) -> None:
    agree_both(chain)
    asked = (
        (COMPLIANCE, Role.REGISTRAR_CHECKER, "approval_not_yours"),
        (COMPLIANCE, Role.INVESTOR, "approval_not_yours"),
        (SOMEBODY, Role.COMPLIANCE, "checker_is_maker"),
    )
    for who, role, code in asked:
        with pytest.raises(Forbidden, match=code):
            reopening.agree_to_unpause(
                chain.desk.session, who, chain.tokenization.id, role=role, reason="All is well"
            )


def test_unpause__blank_reason__is_refused(chain: Ledger) -> None:
    with pytest.raises(Invalid, match="reason_missing"):
        reopening.agree_to_unpause(
            chain.desk.session,
            COMPLIANCE,
            chain.tokenization.id,
            role=Role.COMPLIANCE,
            reason="     ",
        )

    assert agree(chain, Role.COMPLIANCE).missing == Counter({Role.REGISTRAR_CHECKER: 1})


def test_unpause__asset_suspended_on_the_way__is_paused_again(chain: Ledger) -> None:
    operation = agree_both(chain)
    standing.suspend(chain.desk, chain.wrapped.asset)

    with pytest.raises(Conflict, match="asset_not_registered"):
        reopening.require_openable(chain.desk.session, chain.tokenization.id)
    assert confirm(chain, operation).state == TokenizationState.PAUSED
    last = tokenizations.last_pause(chain.desk.session, chain.tokenization.id)
    assert last is not None
    assert last.state == OperationState.PLANNED


def test_last_pause__of_a_token_never_paused__is_none(desk: Desk, session: Session) -> None:
    assert tokenizations.last_pause(session, ledger.live(desk, 10).tokenization.id) is None


@pytest.mark.parametrize("state", ["MUTATION_PENDING", "DISPUTED", "CANCELLED", "SUPERSEDED"])
def test_agree__title_that_is_not_active__is_refused(chain: Ledger, state: str) -> None:
    title = titles.title_of_asset(chain.desk.session, chain.wrapped.asset.id)
    title.state = TitleState(state)
    chain.desk.session.flush()

    with pytest.raises(Conflict, match="title_not_active"):
        agree(chain, Role.COMPLIANCE)


def test_agree__title_that_was_auctioned__is_wrp_01(chain: Ledger) -> None:
    desk, asset = chain.desk, chain.wrapped.asset
    title = titles.title_of_asset(desk.session, asset.id)
    owner = deeds.now_owned(desk, title).shares[0].party_id
    auction = NewMutation(
        kind=MutationKind.COURT_SALE,
        initiation=Initiation.COURT,
        number=deeds.number(),
        sellers=[Side(owner, 1)],
        buyers=[Side(make.person(desk).id, 1)],
    )
    deeds.passed(desk, title, auction)
    assert asset.state == AssetState.REGISTERED, "as it is once people closed the cause"

    with pytest.raises(Conflict) as refused:
        agree(chain, Role.COMPLIANCE)
    assert (refused.value.code, refused.value.rule) == ("wrapper_not_owner", "WRP-01")
